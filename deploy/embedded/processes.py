"""Our own services as child processes of the stack: started, awaited until ready, kept up, stopped."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from rich.console import Console

from deploy.embedded.addresses import Addresses
from deploy.embedded.errors import ServerError
from deploy.embedded.ports import free_port
from deploy.embedded.service import ProcessEvent, ProcessExited, Service, StartFailed
from deploy.embedded.supervisor import Supervisor

SERVICES = ("redemption", "segmenter", "audit", "admin")
START_TIMEOUT_S = 60.0
LOOK_S = 0.05


class ServiceProcesses:
    """The processes of redemption, segmenter, audit and admin while the `async with` block runs."""

    def __init__(
        self, addresses: Addresses, logins: Mapping[str, str], data_dir: Path, workers: int, console: Console
    ) -> None:
        """`logins`: the database's URL for each service."""
        self._console = console
        self._ready_dir = data_dir / "ready"
        self._logs = data_dir / "logs"
        self._addresses = addresses
        self._logins = logins
        counts = {"redemption": workers, "segmenter": workers, "audit": 1, "admin": 1}
        self._services = {
            f"{name}-{place}" if count > 1 else name: name for name, count in counts.items() for place in range(count)
        }
        self._ports = {process: self._port(name) for process, name in self._services.items()}
        self._targets = data_dir / "prometheus-targets.json"
        self._failed: ProcessExited | StartFailed | None = None
        self._supervisor = Supervisor(
            [self._service(process, name) for process, name in self._services.items()], on_event=self._note
        )

    async def __aenter__(self) -> Self:
        self._ready_dir.mkdir(parents=True, exist_ok=True)
        for process in self._services:
            (self._ready_dir / process).unlink(missing_ok=True)
        self._targets.write_text(json.dumps(self.targets(), indent=2) + "\n")
        await self._supervisor.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._supervisor.stop()

    def targets(self) -> list[dict[str, object]]:
        """Where each process serves /metrics, as Prometheus reads it from a file (file_sd_configs)."""
        return [
            {"targets": [f"127.0.0.1:{port}"], "labels": {"job": "offers", "service": self._services[process]}}
            for process, port in self._ports.items()
        ]

    def pids(self) -> dict[str, list[int]]:
        """The process ids now running, by service."""
        found: dict[str, list[int]] = {name: [] for name in self._services.values()}
        for process, pids in self._supervisor.pids().items():
            found[self._services[process]] += pids
        return found

    async def until_ready(self) -> None:
        """Wait until every process has said that it takes work.

        Raises:
            ServerError: if one of them ends instead, or the time is up; naming its log.
        """
        missing = list(self._services)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while missing := [name for name in missing if not (self._ready_dir / name).exists()]:
                    if self._failed is not None:
                        raise ServerError(self._cannot_start(self._failed.service))
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise ServerError(self._cannot_start(missing[0])) from None

    def _service(self, process: str, name: str) -> Service:
        env = self._addresses.environment() | {
            "OFFERS_DATABASE_URL": self._logins[name],
            "OFFERS_READY_FILE": str(self._ready_dir / process),
            "OFFERS_HTTP_HOST": "127.0.0.1",
            "OFFERS_HTTP_PORT": str(self._ports[process]),
        }
        argv = [sys.executable, "-m", "deploy.cli", "run", name]
        return Service(process, argv, self._logs / f"{process}.log", env)

    def _port(self, name: str) -> int:
        """The announced port of a service that people call, any other for one that only has probes."""
        url = {"admin": self._addresses.admin_url, "audit": self._addresses.audit_url}.get(name)
        announced = urlsplit(url).port if url is not None else None
        return announced or free_port()

    def _note(self, event: ProcessEvent) -> None:
        if isinstance(event, ProcessExited | StartFailed):
            self._failed = self._failed or event
            self._console.print(f"  [yellow]{event.service} ended; restarting in {event.restart_in_s:.1f} s[/]")

    def _cannot_start(self, process: str) -> str:
        log = self._logs / f"{process}.log"
        last = log.read_text(errors="replace").splitlines()[-1:] if log.exists() else []
        return f"{process} did not start: {' '.join(last) or 'its log is empty'} ({log})"
