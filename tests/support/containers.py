"""docker-compose.yml as a person runs it, as a project of the test's own with an image and ports of its own."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from deploy.embedded.ports import free_port

ROOT = Path(__file__).parents[2]
IMAGE = "offers-under-test"
TIMEOUT_S = 1_200


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever it is."""
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, **options)


def missing() -> str | None:
    """What containers need and is not here, in words."""
    if shutil.which("docker") is None or run("docker", "info").returncode:
        return "no Docker engine answers"
    if compose_command() is None:
        return "Docker Compose is not installed"
    for image in images():
        if run("docker", "image", "inspect", image).returncode and run("docker", "pull", "--quiet", image).returncode:
            return f"{image} is not here and no image registry answers"
    return None


def images() -> list[str]:
    """The images that the build and `up` begin with."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    base = re.findall(r"^ARG BASE=(.+)$", (ROOT / "deploy/docker/Dockerfile").read_text(), re.MULTILINE)
    return base + [each["image"] for each in services if "build" not in each and "profiles" not in each]


def compose_command() -> tuple[str, ...] | None:
    """Either release of Docker Compose."""
    if shutil.which("docker-compose") is not None:
        return ("docker-compose",)
    return ("docker", "compose") if run("docker", "compose", "version").returncode == 0 else None


@dataclass(frozen=True)
class Project:
    """One project of the compose file."""

    name: str
    environment: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        """A command line of Docker Compose on this project."""
        return [*(compose_command() or ()), "--project-name", self.name, *arguments]

    def compose(self, *arguments: str, stdin: str | None = None) -> str:
        """What a command prints that must work."""
        done = run(*self.command(*arguments), cwd=ROOT, env=self.environment, input=stdin)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command that goes on beside the test."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=ROOT,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def port(self, service: str) -> str:
        """Where a service is published on this machine."""
        return self.environment[f"OFFERS_{service.upper()}_PORT"]

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers."""
        return self.compose("ps", "-q", service).split()

    def healthy(self, service: str, count: int) -> bool:
        """Whether so many of its containers are, and are healthy."""
        states = [state(container) for container in self.containers(service)]
        return len(states) == count and all(each["Health"]["Status"] == "healthy" for each in states)

    def value(self, query: str) -> str:
        """What a query of one value gives."""
        psql = ("exec", "-T", "postgres", "psql", "-U", "offers", "-At", "-c", query)
        return self.compose(*psql).strip()


def state(container: str) -> dict[str, Any]:
    """How Docker says a container is."""
    found: dict[str, Any] = json.loads(run("docker", "inspect", "--format", "{{json .State}}", container).stdout)
    return found


def crash(container: str) -> None:
    """Send SIGKILL from outside: after `docker kill`, Docker would take it that a person wanted it gone."""
    kill = f"import os; os.kill({state(container)['Pid']}, 9)"
    done = run("docker", "run", "--rm", "--pid=host", "--user=0", "--entrypoint=python", IMAGE, "-c", kill)
    assert done.returncode == 0, done.stderr


@contextmanager
def running_project() -> Iterator[Project]:
    """Built, up and everything answering; with its containers, volumes and network removed at the end."""
    ports = {f"OFFERS_{name}_PORT": str(free_port()) for name in ("ADMIN", "AUDIT", "KAFKA", "PROMETHEUS", "GRAFANA")}
    project = Project(f"offers-test-{uuid4().hex[:8]}", os.environ | ports | {"OFFERS_IMAGE": IMAGE})
    try:
        project.compose("build", "migrate")
        project.compose("up", "-d")
        yield project
    finally:
        run(*project.command("down", "--volumes", "--timeout", "5"), cwd=ROOT, env=project.environment)
