"""What the Dockerfile promises, held without Docker: who it runs as, what it leaves out, which builders build it."""

import json
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy/docker/Dockerfile").read_text()
ONLY_BUILDKIT = r"^# *syntax=|--mount=|--link|--chmod=|--parents|<<-?['\"]?[A-Z]"
EXTRA = re.compile(r"\[[a-z]+\]")
PINNED = re.compile(r"^([A-Za-z0-9._-]+(?:\[[a-z]+\])?==\S+)", re.MULTILINE)


def instructions() -> list[tuple[str, str]]:
    """Each instruction and its arguments; continued lines are joined."""
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def result() -> list[tuple[str, str]]:
    """The instructions of the last stage."""
    found = instructions()
    return found[max(place for place, (word, _) in enumerate(found) if word == "FROM") :]


def arguments(word: str) -> list[str]:
    return [rest for found, rest in result() if found == word]


def pinned(file: str) -> set[str]:
    return set(PINNED.findall((ROOT / file).read_text()))


def test_the_classic_builder_builds_it() -> None:
    assert re.findall(ONLY_BUILDKIT, DOCKERFILE, re.MULTILINE) == []
    known = {"ARG", "FROM", "ENV", "WORKDIR", "RUN", "COPY", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in instructions()} <= known


def test_every_stage_is_from_one_slim_python() -> None:
    assert instructions()[0] == ("ARG", "BASE=python:3.13-slim")
    assert [rest.split()[0] for word, rest in instructions() if word == "FROM"] == ["$BASE", "$BASE"]


def test_the_result_installs_nothing_and_takes_only_what_was_built() -> None:
    assert arguments("COPY") == ["--from=build /opt/offers /opt/offers"]
    (run,) = arguments("RUN")
    assert re.findall(r"\b(?:apt-get|apk|install)\b(?! --directory)", run) == []
    assert "pip uninstall" in run


def test_it_does_not_run_as_root() -> None:
    assert arguments("USER") == ["10001:10001"]
    assert [word for word, _ in result()].index("USER") > max(
        place for place, (word, _) in enumerate(result()) if word in ("RUN", "COPY")
    )


def test_signals_reach_the_program_and_its_health_is_asked_for_without_a_shell() -> None:
    assert [json.loads(text) for text in arguments("ENTRYPOINT")] == [["offers"]]
    (health,) = arguments("HEALTHCHECK")
    assert json.loads(health.partition("CMD ")[2]) == ["python", "-m", "deploy.docker.probe", "/healthz"]


def test_it_installs_what_is_pinned_for_everything_with_hashes_and_nothing_that_only_tests_need() -> None:
    ours = pinned("deploy/docker/requirements.txt")
    assert ours < pinned("requirements.txt")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    plain = {EXTRA.sub("", pin) for pin in ours}
    assert {EXTRA.sub("", pin) for pin in project["dependencies"]} <= plain
    assert not plain & {pin for pins in project["optional-dependencies"].values() for pin in pins}
    assert "--require-hashes" in DOCKERFILE
    assert "--only-binary :all:" in re.sub(r"\\\n\s*", "", DOCKERFILE)


def test_the_build_is_sent_the_package_alone() -> None:
    rules = [rule for rule in (ROOT / ".dockerignore").read_text().splitlines() if not rule.startswith("#")]
    assert rules[0] == "*"
    sent = {rule[1:] for rule in rules if rule.startswith("!")}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert sent == {*packages["packages"], "pyproject.toml", "README.md"}
    assert any(fnmatch("services/admin/assets/vendor", rule) for rule in rules[1:])
