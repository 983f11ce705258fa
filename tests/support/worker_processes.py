"""Service workers as processes of their own, started as containers start them, to be stopped, killed or paused."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGCONT, SIGTERM
from typing import Final

import psutil

from deploy.embedded.child import Child, NotReadyYet
from shared.settings import KafkaSettings

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0
FAULT_TIMEOUT_S: Final = 60.0
LOOK_S: Final = 0.02
BATCH_RECORDS_MAX: Final = 40
"""Small batches, so that a worker is nearly always in the midst of one."""


class WorkerProcess:
    """One running worker."""

    def __init__(self, child: Child) -> None:
        self._child = child

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._child.running

    async def stop(self) -> int:
        """Ask it to end, as an orchestrator does; its exit code."""
        return await self._child.stop(SIGTERM, STOP_TIMEOUT_S)

    async def kill(self) -> None:
        """Have it gone at once, whatever it is at."""
        self._child.kill_group()
        await self._child.wait()

    async def until_ended(self) -> int:
        """Wait until it ends by itself; the exit code, or minus the signal that ended it."""
        async with asyncio.timeout(FAULT_TIMEOUT_S):
            return await self._child.wait()

    async def until_paused(self) -> None:
        """Wait until SIGSTOP has stopped it."""
        process = psutil.Process(self._child.pid)
        async with asyncio.timeout(FAULT_TIMEOUT_S):
            while process.status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(LOOK_S)

    def resume(self) -> None:
        """Have it go on after SIGSTOP."""
        os.kill(self._child.pid, SIGCONT)

    async def until_logged(self, action: str) -> None:
        """Wait until its log holds a line of this action."""
        wanted = f'"action": "{action}"'
        async with asyncio.timeout(FAULT_TIMEOUT_S):
            while wanted not in self._child.log_path.read_text(errors="replace"):
                assert self.running, self._child.log_tail()
                await asyncio.sleep(LOOK_S)


class WorkerProcesses:
    """Starts workers of one service, which share a group."""

    def __init__(self, service: str, environment: Mapping[str, str], folder: Path) -> None:
        self._service = service
        self._environment = environment
        self._folder = folder
        self._children: list[Child] = []

    async def start(
        self, name: str, program: Sequence[str] | None = None, environment: Mapping[str, str] | None = None
    ) -> WorkerProcess:
        """Start a worker and wait until it says that it takes work; its log is `name`.log.

        `program` is a module and its arguments to run in place of `offers run`.
        """
        ready = self._folder / f"{name}.ready"
        module, *arguments = program or ["deploy.cli", "run", self._service]
        child = await Child.spawn(
            name,
            [sys.executable, "-m", module, *arguments],
            log_path=self._folder / f"{name}.log",
            env={**self._environment, **(environment or {}), "OFFERS_READY_FILE": str(ready)},
        )
        self._children.append(child)

        async def look() -> None:
            if not ready.exists():
                raise NotReadyYet

        await child.until_ready(look, START_TIMEOUT_S)
        return WorkerProcess(child)

    async def end(self) -> None:
        """Kill what still runs."""
        for child in self._children:
            child.kill_group()
            await child.wait()


@asynccontextmanager
async def worker_processes(
    service: str, database_url: str, kafka: KafkaSettings, folder: Path, **more: str
) -> AsyncIterator[WorkerProcesses]:
    """A place to start workers of a service from; none outlives it. `more` is added to their environment."""
    settings = {f"OFFERS_{name.upper()}": str(value) for name, value in kafka.model_dump(exclude_none=True).items()}
    own = {
        "OFFERS_DATABASE_URL": database_url,
        "OFFERS_BATCH_RECORDS_MAX": str(BATCH_RECORDS_MAX),
        "OFFERS_HTTP_PORT": "0",
    }
    processes = WorkerProcesses(service, dict(os.environ) | settings | own | more, folder)
    try:
        yield processes
    finally:
        await processes.end()
