"""What a supervisor is given (services, and how to restart them) and what it reports (events)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from shared.telemetry import get_logger

_logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """One program, run `processes` times; `env` is added to our environment.

    Output goes to `log_path`; with several processes, to `name-0.log`, `name-1.log`, … beside it. Each
    run must be a single process: Linux ends it with us even if we are killed, but not what it forks.
    """

    name: str
    argv: Sequence[str]
    log_path: Path
    env: Mapping[str, str] = field(default_factory=dict)
    processes: int = 1

    def log_path_of(self, index: int) -> Path:
        """Where the output of one of its processes goes."""
        if self.processes == 1:
            return self.log_path
        return self.log_path.with_stem(f"{self.log_path.stem}-{index}")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before a restart: twice as long each time, from the start again after a long run."""

    first_s: float = 0.2
    most_s: float = 5.0
    reset_after_s: float = 30.0

    def delay_s(self, failures: int) -> float:
        """The wait after this many short runs in a row, from 1."""
        doublings = min(failures - 1, 32)
        return min(self.first_s * 2.0**doublings, self.most_s)


@dataclass(frozen=True, slots=True)
class ProcessStarted:
    """A process was started, for the first time or again."""

    service: str
    index: int
    pid: int


@dataclass(frozen=True, slots=True)
class ProcessExited:
    """A process ended unasked. `exit_code` is minus the signal if one ended it."""

    service: str
    index: int
    pid: int
    exit_code: int
    uptime_s: float
    restart_in_s: float


@dataclass(frozen=True, slots=True)
class ProcessStopped:
    """A process ended because we asked it to."""

    service: str
    index: int
    pid: int
    exit_code: int


@dataclass(frozen=True, slots=True)
class StartFailed:
    """The machine could not start a process; tried again after the wait."""

    service: str
    index: int
    error: str
    restart_in_s: float


ProcessEvent = ProcessStarted | ProcessExited | ProcessStopped | StartFailed


def log_event(event: ProcessEvent) -> None:
    """Write an event as a structured log line."""
    log = _logger.bind(process_service=event.service, process_index=event.index)
    match event:
        case ProcessStarted(pid=pid):
            log.info("started", action="process_started", pid=pid)
        case ProcessExited(pid=pid, exit_code=code, uptime_s=uptime_s, restart_in_s=wait_s):
            up = round(uptime_s, 3)
            log.warning("exited", action="process_exited", pid=pid, exit_code=code, uptime_s=up, restart_in_s=wait_s)
        case ProcessStopped(pid=pid, exit_code=code):
            log.info("stopped", action="process_stopped", pid=pid, exit_code=code)
        case StartFailed(error=error, restart_in_s=wait_s):
            log.error("cannot start", action="process_start_failed", error=error, restart_in_s=wait_s)
        case _:
            assert_never(event)
