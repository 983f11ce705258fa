"""What every embedded server offers to the stack and to the tests, and what all of them do alike."""

import os
import signal
from pathlib import Path
from typing import ClassVar, Protocol

from deploy.embedded.child import Child
from deploy.embedded.errors import ServerError
from deploy.embedded.ports import free_port
from shared.settings import KafkaSettings


class EmbeddedServer(Protocol):
    """A server on 127.0.0.1 that lives and dies with this process and keeps its data under one folder."""

    @property
    def port(self) -> int:
        """The TCP port it listens on; the same after a restart."""

    @property
    def pid(self) -> int | None:
        """Its main process, None while it does not run."""

    async def start(self, data_dir: Path) -> None:
        """Start it and return once it answers; its own subfolder and `logs/` are made in `data_dir`."""

    async def stop(self) -> None:
        """Stop it in order, in bounded time."""

    async def kill(self) -> None:
        """End it at once with SIGKILL, as a crash would."""


class KafkaServer(EmbeddedServer, Protocol):
    """A Kafka-compatible broker."""

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""

    @property
    def idempotent_producer(self) -> bool:
        """Whether producers may set enable_idempotence."""

    @property
    def settings(self) -> KafkaSettings:
        """How clients reach this broker and get along with it."""


class ChildServer:
    """The part of a server that concerns its one child process."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_timeout_s: ClassVar[float] = 10.0

    def __init__(self, port: int | None = None) -> None:
        """`port`: where to listen; None picks a free one, kept for every later start."""
        self._port = free_port() if port is None else port
        self._child: Child | None = None

    @property
    def port(self) -> int:
        """The TCP port it listens on; the same after a restart."""
        return self._port

    @property
    def pid(self) -> int | None:
        """Its main process, None while it does not run."""
        return self._child.pid if self._child is not None and self._child.running else None

    async def stop(self) -> None:
        """Stop it in order; after `stop_timeout_s` kill it."""
        if self._child is not None:
            await self._child.stop(self.stop_signal, self.stop_timeout_s)
            self._child = None

    async def kill(self) -> None:
        """End it at once with SIGKILL, as a crash would."""
        if self._child is not None:
            await self._child.stop(signal.SIGKILL, self.stop_timeout_s)
            self._child = None

    def _folders(self, data_dir: Path) -> tuple[Path, Path]:
        """The server's own folder and its log file, made if missing; refuses a second start."""
        if self.pid is not None:
            raise ServerError(f"{self.name} is already running on port {self.port}")
        home = data_dir.resolve() / self.name
        logs = data_dir.resolve() / "logs"
        home.mkdir(parents=True, exist_ok=True)
        logs.mkdir(parents=True, exist_ok=True)
        return home, logs / f"{self.name}.log"


def plain_environment(**more: str) -> dict[str, str]:
    """An environment without what could reconfigure a server by accident (PGDATA, LISTENER_URL, …)."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "JAVA_HOME") if name in os.environ}
    return kept | {"LC_ALL": "C.UTF-8", "TZ": "UTC"} | more
