"""Dashboard and alerts go by what the services really export, and every alert has its runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deploy.cli.app import app
from tests.support.metrics import scrape, until_true
from tests.support.stack import running_stack

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
SELECTED = re.compile(r"\b(offers_\w+|process_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)="([^"]*)"')
BY_PROMETHEUS = {"job", "service", "instance"}

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian has it in the package prometheus)"
)


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def dashboard_targets() -> list[dict[str, Any]]:
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return [target for panel in panels for target in panel["targets"]]


def selected() -> Iterator[tuple[str, frozenset[tuple[str, str]]]]:
    """The metrics that expressions name, each with the values it must have in labels of ours."""
    for expression in [rule["expr"] for rule in alerts()] + [target["expr"] for target in dashboard_targets()]:
        for name, matchers in SELECTED.findall(expression):
            pairs = MATCHER.findall(re.sub(r'\w+\s*(!=|=~|!~)\s*"[^"]*"', "", matchers))
            yield name, frozenset((label, value) for label, value in pairs if label not in BY_PROMETHEUS)


async def test_every_metric_named_is_exported_by_a_running_stack(tmp_path: Path) -> None:
    wanted = set(selected())
    assert {name for name, _ in wanted} >= {"offers_ready", "offers_audit_rows_total", "process_resident_memory_bytes"}
    async with running_stack(tmp_path, "--sample", "--workers", "2"):
        targets = json.loads((tmp_path / "data" / "prometheus-targets.json").read_text())
        services = [target["labels"]["service"] for target in targets]
        assert sorted(services) == ["admin", "audit", "redemption", "redemption", "segmenter", "segmenter"]
        assert len({address for target in targets for address in target["targets"]}) == 6
        missing = wanted

        async def all_exported() -> bool:
            nonlocal missing
            scrapes = [await scrape(f"http://{target['targets'][0]}") for target in targets]
            samples = [sample for each in scrapes for sample in each.samples]
            missing = {
                (name, labels)
                for name, labels in wanted
                if not any(sample.name == name and labels <= sample.labels.items() for sample in samples)
            }
            return not missing

        try:
            await until_true(all_exported, "every metric is exported")
        except AssertionError:
            raise AssertionError(f"not exported: {sorted((name, dict(labels)) for name, labels in missing)}") from None


def test_every_alert_has_a_severity_a_summary_and_a_runbook() -> None:
    headings = re.findall(r"^## (.+)$", (MONITORING / "RUNBOOKS.md").read_text(), re.MULTILINE)
    sections = {f"RUNBOOKS.md#{heading.lower().replace(' ', '-')}" for heading in headings}
    assert len(alerts()) == 15
    assert {rule["annotations"]["runbook"] for rule in alerts()} == sections
    assert {rule["labels"]["severity"] for rule in alerts()} <= {"critical", "warning", "info"}
    assert all(rule["annotations"]["summary"] for rule in alerts())


def test_every_section_says_what_it_means_how_to_look_and_what_to_do() -> None:
    _, *sections = (MONITORING / "RUNBOOKS.md").read_text().split("\n## ")
    for section in sections:
        assert re.findall(r"^\*\*(.+?)\.\*\*", section, re.MULTILINE) == ["Means", "Look", "Do"], section


def test_the_commands_of_the_runbooks_exist() -> None:
    named = set(re.findall(r"`offers ((?:dlq )?[a-z]+)", (MONITORING / "RUNBOOKS.md").read_text()))
    assert named >= {"verify", "dlq list", "dlq replay", "run", "migrate", "topics"}
    for command in named - {"up"}:
        assert CliRunner().invoke(app, [*command.split(), "--help"]).exit_code == 0, command


def test_the_dashboards_panels_have_titles_descriptions_and_places_of_their_own() -> None:
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) == 16
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == 16
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)


@promtool
@pytest.mark.parametrize("what", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")])
def test_promtool_accepts_the_rules_and_their_unit_tests(what: tuple[str, ...]) -> None:
    result = subprocess.run(["promtool", *what], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@promtool
def test_promtool_accepts_the_configurations_and_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "containers.yml", "alerts.yml"):
        shutil.copy(MONITORING / name, tmp_path)
    (tmp_path / "prometheus-targets.json").write_text("[]")
    expressions = [target["expr"].replace("$__rate_interval", "5m") for target in dashboard_targets()]
    rules = [{"record": f"panel:{place}", "expr": text} for place, text in enumerate(expressions)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    for what in (("config", "prometheus.yml"), ("config", "containers.yml"), ("rules", "panels.yml")):
        result = subprocess.run(["promtool", "check", *what], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
