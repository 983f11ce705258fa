"""The supervisor with real processes: restarts, orderly ends, and no orphans whatever ends the supervisor."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from deploy.embedded.service import (
    Backoff,
    ProcessEvent,
    ProcessExited,
    ProcessStarted,
    ProcessStopped,
    Service,
)
from deploy.embedded.supervisor import Supervisor

Kind = TypeVar("Kind", bound=ProcessEvent)

PATIENCE_S = 30.0
ROOT = Path(__file__).parents[2]

FOREVER = "import signal\nsignal.pause()"

# Writes a file once its handler is in place, so that the test doesn't signal too early.
GRACEFUL = """
import signal, sys
def end(signum, frame):
    print("drained", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
open(sys.argv[1], "w").write("ready")
while True:
    signal.pause()
"""

DEAF = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").write("ready")
while True:
    signal.pause()
"""

# A whole stack in miniature: prints its children's pids, then works until something ends it.
PARENT = """
import asyncio, json, signal, sys
from pathlib import Path
from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.postgres import PostgresServer
from deploy.embedded.redis import RedisServer
from deploy.embedded.service import Service
from deploy.embedded.supervisor import Supervisor
from shared.telemetry import configure_logging

async def main():
    configure_logging("parent")
    data_dir = Path(sys.argv[1])
    stop = asyncio.Event()
    if sys.argv[2] == "handled":
        for signum in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    servers = [PostgresServer(), RedisServer(), EmbeddedKafka()]
    for server in servers:
        await server.start(data_dir)
    service = Service("pause", [sys.executable, "-c", "import signal; signal.pause()"], data_dir / "p.log", processes=2)
    async with Supervisor([service]) as supervisor:
        pids = [server.pid for server in servers] + supervisor.pids()["pause"]
        sys.stdout.write(json.dumps(pids) + "\\n")
        sys.stdout.flush()
        await stop.wait()
    for server in reversed(servers):
        await server.stop()

asyncio.run(main())
"""


class Events:
    """Collects what the supervisor reports and lets a test await the next report of a kind."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[ProcessEvent] = asyncio.Queue()

    def __call__(self, event: ProcessEvent) -> None:
        self._queue.put_nowait(event)

    async def next(self, kind: type[Kind]) -> Kind:
        async with asyncio.timeout(PATIENCE_S):
            while not isinstance(event := await self._queue.get(), kind):
                pass
        return event


def python(name: str, program: str, folder: Path, *arguments: str, processes: int = 1) -> Service:
    argv = [sys.executable, "-c", program, *arguments]
    return Service(name, argv, folder / f"{name}.log", processes=processes)


async def until_written(path: Path) -> None:
    """Wait until a program has written its sign of life."""

    def look() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not (path.exists() and path.read_text()):
            assert time.monotonic() < deadline, f"nothing was written to {path}"
            time.sleep(0.01)

    await asyncio.to_thread(look)


@pytest.fixture
def events() -> Events:
    return Events()


async def test_a_killed_process_is_started_again(tmp_path: Path, events: Events) -> None:
    service = python("pause", FOREVER, tmp_path, processes=2)
    async with Supervisor([service], on_event=events, backoff=Backoff(first_s=0.01)) as supervisor:
        first, second = supervisor.pids()["pause"]
        for _ in range(2):
            await events.next(ProcessStarted)

        os.kill(second, signal.SIGKILL)

        exited = await events.next(ProcessExited)
        assert (exited.service, exited.index, exited.pid, exited.exit_code) == ("pause", 1, second, -9)
        started = await events.next(ProcessStarted)
        assert started.index == 1
        assert supervisor.pids() == {"pause": [first, started.pid]}
        assert second != started.pid


async def test_waits_double_while_a_process_keeps_failing(tmp_path: Path, events: Events) -> None:
    service = python("broken", "raise SystemExit(3)", tmp_path)
    async with Supervisor([service], on_event=events, backoff=Backoff(first_s=0.01, most_s=0.04)):
        failures = [await events.next(ProcessExited) for _ in range(4)]
    assert [failure.restart_in_s for failure in failures] == [0.01, 0.02, 0.04, 0.04]
    assert {failure.exit_code for failure in failures} == {3}


async def test_waits_start_over_after_a_long_run(tmp_path: Path, events: Events) -> None:
    service = python("broken", "raise SystemExit(3)", tmp_path)
    every_run_is_long = Backoff(first_s=0.01, most_s=1.0, reset_after_s=0.0)
    async with Supervisor([service], on_event=events, backoff=every_run_is_long):
        failures = [await events.next(ProcessExited) for _ in range(3)]
    assert [failure.restart_in_s for failure in failures] == [0.01, 0.01, 0.01]


def test_default_waits_run_from_a_fifth_of_a_second_to_five_seconds() -> None:
    waits = [Backoff().delay_s(failures) for failures in (1, 2, 3, 4, 5, 6, 1000)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


async def test_a_program_that_does_not_exist_is_reported_and_explained(tmp_path: Path, events: Events) -> None:
    service = Service("absent", ["/nowhere/at/all"], tmp_path / "absent.log")
    async with Supervisor([service], on_event=events):
        assert (await events.next(ProcessExited)).exit_code == 127
    assert "cannot start /nowhere/at/all" in (tmp_path / "absent.log").read_text()


async def test_stop_lets_the_service_run_its_handler(tmp_path: Path, events: Events) -> None:
    ready = tmp_path / "ready"
    async with Supervisor([python("graceful", GRACEFUL, tmp_path, str(ready))], on_event=events) as supervisor:
        await until_written(ready)
    assert (await events.next(ProcessStopped)).exit_code == 0
    assert (tmp_path / "graceful.log").read_text() == "drained\n"
    assert supervisor.pids() == {"graceful": []}


async def test_stop_kills_a_service_that_does_not_end_in_time(tmp_path: Path, events: Events) -> None:
    ready = tmp_path / "ready"
    deaf = python("deaf", DEAF, tmp_path, str(ready))
    async with Supervisor([deaf], on_event=events, stop_timeout_s=0.2) as supervisor:
        await until_written(ready)
        (pid,) = supervisor.pids()["deaf"]
    assert (await events.next(ProcessStopped)).exit_code == -9
    assert not psutil.pid_exists(pid)


async def test_stop_during_a_wait_starts_nothing_more(tmp_path: Path, events: Events) -> None:
    service = python("broken", "raise SystemExit(3)", tmp_path)
    supervisor = Supervisor([service], on_event=events, backoff=Backoff(first_s=3600.0, most_s=3600.0))
    await supervisor.start()
    await events.next(ProcessExited)
    async with asyncio.timeout(PATIENCE_S):
        await supervisor.stop()
    assert supervisor.pids() == {"broken": []}


async def test_services_get_their_environment_and_their_own_log(tmp_path: Path, events: Events) -> None:
    program = "import os, signal; print(os.environ['COLOUR'], flush=True); signal.pause()"
    argv = [sys.executable, "-c", program]
    service = Service("colour", argv, tmp_path / "logs" / "colour.log", {"COLOUR": "red"}, processes=2)
    async with Supervisor([service], on_event=events):
        await until_written(tmp_path / "logs" / "colour-0.log")
        await until_written(tmp_path / "logs" / "colour-1.log")
    assert (tmp_path / "logs" / "colour-1.log").read_text() == "red\n"


@dataclass(frozen=True)
class Stack:
    """A small stack running in a process of its own, and all the processes that one has started."""

    parent: Process
    family: list[psutil.Process]

    async def end(self, ending: signal.Signals) -> list[psutil.Process]:
        """End the parent; the processes that outlive it."""
        self.parent.send_signal(ending)
        async with asyncio.timeout(PATIENCE_S):
            await self.parent.wait()
        _, alive = await asyncio.to_thread(psutil.wait_procs, self.family, timeout=PATIENCE_S)
        return list(alive)


StartStack = Callable[[str], Awaitable[Stack]]


@pytest.fixture
async def start_stack(tmp_path: Path) -> AsyncIterator[StartStack]:
    """Starts stacks on the test's folder; leaves nothing of them behind, even if the test fails."""
    started: list[psutil.Process] = []

    async def start(signals: str) -> Stack:
        argv = [sys.executable, "-c", PARENT, str(tmp_path), signals]
        parent = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=PIPE)
        started.append(psutil.Process(parent.pid))
        assert parent.stdout is not None
        async with asyncio.timeout(PATIENCE_S * 2):
            pids: list[int] = json.loads(await parent.stdout.readline())
        family = psutil.Process(parent.pid).children(recursive=True)
        started.extend(family)
        assert len(pids) == 5
        assert set(pids) <= {process.pid for process in family}
        return Stack(parent, family)

    yield start
    for process in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.parametrize(
    ("ending", "signals"),
    [
        pytest.param(signal.SIGKILL, "unhandled", id="SIGKILL"),
        pytest.param(signal.SIGTERM, "unhandled", id="SIGTERM without a handler"),
        pytest.param(signal.SIGTERM, "handled", id="SIGTERM"),
        pytest.param(signal.SIGINT, "handled", id="Ctrl-C"),
    ],
)
async def test_no_process_outlives_the_stack(start_stack: StartStack, ending: signal.Signals, signals: str) -> None:
    stack = await start_stack(signals)
    assert await stack.end(ending) == []


async def test_the_stack_starts_again_on_its_data_after_sigkill(start_stack: StartStack) -> None:
    stack = await start_stack("unhandled")
    stack.parent.kill()
    again = await start_stack("handled")
    assert await again.end(signal.SIGTERM) == []
    assert again.parent.returncode == 0
