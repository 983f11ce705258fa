"""One child process: spawned so that it cannot outlive us, awaited until it answers, stopped in bounded time."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from deploy.embedded.errors import ServerError

_LAUNCHER = Path(__file__).with_name("launch.py")
_PROBE_EVERY_S = 0.02
_LOG_TAIL_LINES = 5


class NotReadyYet(Exception):
    """A probe's answer while the server is still starting."""


class Child:
    """A running child process, in its own session so that a terminal's Ctrl-C reaches us first.

    If this process dies, even by SIGKILL, Linux sends the child its death signal. The signal follows the
    thread that spawned the child, so spawn from the main thread's event loop.
    """

    def __init__(self, name: str, process: Process, log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._process = process

    @classmethod
    async def spawn(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        account: str = "-",
    ) -> "Child":
        """Start a program with its output appended to `log_path`.

        `env` is the whole environment (None: ours); `account` is the user to become, `-` for none.
        """
        program = shutil.which(argv[0]) or argv[0]
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(int(death_signal)), account]
        with _open_log(log_path) as log:
            process = await asyncio.create_subprocess_exec(
                *launcher,
                program,
                *argv[1:],
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                env=env,
                cwd=cwd,
                start_new_session=True,
            )
        return cls(name, process, log_path)

    @property
    def pid(self) -> int:
        """The process id, which is also its session's and process group's."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not exited yet."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for its exit; the exit code, or minus the signal that ended it."""
        return await self._process.wait()

    async def until_ready(self, probe: Callable[[], Awaitable[None]], timeout_s: float) -> None:
        """Call `probe` until it returns instead of raising NotReadyYet.

        Raises:
            ServerError: if the process exits first or the time is up; with the end of its log.
        """
        ready = asyncio.ensure_future(_poll(probe))
        exited = asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait({ready, exited}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if exited.done():
                raise ServerError(f"{self.name} exited with code {exited.result()}: {self.log_tail()}")
            if not ready.done():
                raise ServerError(f"{self.name} did not answer in {timeout_s:g} s: {self.log_tail()}")
            ready.result()
        finally:
            ready.cancel()
            exited.cancel()

    async def stop(self, stop_signal: signal.Signals, timeout_s: float) -> int:
        """Ask it to end, wait at most `timeout_s`, then kill it with all of its process group; its exit code."""
        try:
            if self.running:
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(stop_signal)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), timeout_s)
        finally:
            self.kill_group()
        return await self._process.wait()

    def kill_group(self) -> None:
        """Kill whatever is left of its process group, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def log_tail(self) -> str:
        """The last lines of its log on one line, for an error message."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-_LOG_TAIL_LINES:]) or "(its log is empty)"


def _open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


async def _poll(probe: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await probe()
        except NotReadyYet:
            await asyncio.sleep(_PROBE_EVERY_S)
        else:
            return


async def run_to_end(
    name: str, argv: Sequence[str], *, log_path: Path, env: Mapping[str, str] | None = None, account: str = "-"
) -> None:
    """Run a program to its end.

    Raises:
        ServerError: if it fails; with the end of its log.
    """
    child = await Child.spawn(name, argv, log_path=log_path, env=env, account=account)
    try:
        code = await child.wait()
    finally:
        child.kill_group()
    if code != 0:
        raise ServerError(f"{name} exited with code {code}: {child.log_tail()}")
