"""A whole stack in a process of its own, as `offers up` starts it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from shared.settings import KafkaSettings

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class RunningStack:
    """What the ready file of a running stack says, and its process."""

    ready: dict[str, Any]
    kafka: KafkaSettings
    pid: int

    def service_pids(self, name: str) -> list[int]:
        """The processes that run a service now."""
        found = []
        for child in psutil.Process(self.pid).children(recursive=True):
            try:
                if child.cmdline()[-2:] == ["run", name]:
                    found.append(child.pid)
            except psutil.Error:
                continue  # It ended while we looked.
        return found


@asynccontextmanager
async def running_stack(folder: Path, *arguments: str) -> AsyncIterator[RunningStack]:
    """`offers up` with these arguments, ready; stopped by SIGTERM at the end."""
    ready_file = folder / "ready.json"
    log = (folder / "up.log").open("wb")
    kafka = os.environ.get("KAFKA") or "embedded"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.cli", "up", "--ready-file", str(ready_file), "--data-dir", str(folder / "data"),
        "--kafka", kafka, *arguments, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not ready_file.exists() and process.returncode is None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert process.returncode is None, (folder / "up.log").read_text()
        ready = json.loads(ready_file.read_text())
        settings = KafkaSettings(
            kafka_bootstrap_servers=ready["kafka_bootstrap_servers"],
            kafka_idempotent_producer=kafka == "apache",
            kafka_fetch_wait_ms_max=20,
        )
        yield RunningStack(ready, settings, process.pid)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
        log.close()
