"""`offers bench …` as a process of its own, and what it must leave behind: nothing."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

KAFKA: Final = os.environ.get("KAFKA") or "embedded"
BROKER: Final = "Apache Kafka" if KAFKA == "apache" else "Tansu"
TIMEOUT_S: Final = 150.0


async def bench_report(service: str, *arguments: str) -> dict[str, Any]:
    """What one run printed; its temporary files are gone."""
    with _temporary_folder() as temporary:
        process = await _start(temporary, service, "--json", *arguments)
        out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
        assert process.returncode == 0, err.decode()
        assert list(temporary.iterdir()) == []
    found: dict[str, Any] = json.loads(out)
    return found


async def interrupt_bench(service: str, worker_log: str, *arguments: str) -> None:
    """Press Ctrl-C once a worker has this log, and see that no process and no folder is left."""
    with _temporary_folder() as temporary:
        process = await _start(temporary, service, *arguments)
        async with asyncio.timeout(TIMEOUT_S):
            while not list(temporary.glob(f"offers-bench-*/logs/{worker_log}")):
                assert process.returncode is None, (await process.communicate())[1].decode()
                await asyncio.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) >= 3
        process.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
        assert process.returncode == 130, err.decode()
        assert (out, list(temporary.iterdir())) == (b"", [])
        assert b"Traceback" not in err
        _, alive = await asyncio.to_thread(psutil.wait_procs, children, TIMEOUT_S)
        assert alive == []


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder of the test's own; not under pytest's, which every other run closes to PostgreSQL's account."""
    with tempfile.TemporaryDirectory(prefix="offers-tests-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


async def _start(temporary: Path, service: str, *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.cli", "bench", service, "--kafka", KAFKA, *arguments,
        stdout=PIPE, stderr=PIPE, env=os.environ | {"TMPDIR": str(temporary)},
    )  # fmt: skip
