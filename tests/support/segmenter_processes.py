"""Segmenter workers as processes of their own, started as containers start them."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGTERM
from typing import Final

from deploy.embedded.child import Child, NotReadyYet
from shared.settings import KafkaSettings

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 30.0
BATCH_RECORDS_MAX: Final = 40
"""Small batches, so that a worker is nearly always in the midst of one."""


class SegmenterProcess:
    """One running `offers run segmenter`."""

    def __init__(self, child: Child) -> None:
        self._child = child

    async def stop(self) -> int:
        """Ask it to end, as an orchestrator does; its exit code."""
        return await self._child.stop(SIGTERM, STOP_TIMEOUT_S)

    async def kill(self) -> None:
        """Have it gone at once, whatever it is at."""
        self._child.kill_group()
        await self._child.wait()


class SegmenterProcesses:
    """Starts workers of one group."""

    def __init__(self, database_url: str, kafka: KafkaSettings, folder: Path) -> None:
        self._folder = folder
        self._children: list[Child] = []
        settings = {f"OFFERS_{name.upper()}": str(value) for name, value in kafka.model_dump(exclude_none=True).items()}
        self._environment = (
            dict(os.environ)
            | settings
            | {"OFFERS_DATABASE_URL": database_url, "OFFERS_BATCH_RECORDS_MAX": str(BATCH_RECORDS_MAX)}
        )

    async def start(self, name: str) -> SegmenterProcess:
        """Start a worker and wait until it says that it takes work; its log is `name`.log."""
        ready = self._folder / f"{name}.ready"
        child = await Child.spawn(
            name,
            [sys.executable, "-m", "deploy.cli", "run", "segmenter"],
            log_path=self._folder / f"{name}.log",
            env=self._environment | {"OFFERS_READY_FILE": str(ready)},
        )
        self._children.append(child)

        async def look() -> None:
            if not ready.exists():
                raise NotReadyYet

        await child.until_ready(look, START_TIMEOUT_S)
        return SegmenterProcess(child)

    async def end(self) -> None:
        """Kill what still runs."""
        for child in self._children:
            child.kill_group()
            await child.wait()


@asynccontextmanager
async def segmenter_processes(
    database_url: str, kafka: KafkaSettings, folder: Path
) -> AsyncIterator[SegmenterProcesses]:
    """A place to start workers from; none outlives it."""
    processes = SegmenterProcesses(database_url, kafka, folder)
    try:
        yield processes
    finally:
        await processes.end()
