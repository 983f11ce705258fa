"""Keeps our service processes up: starts them, starts them again when they die, stops them in order."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from deploy.embedded.child import Child
from deploy.embedded.errors import ServerError
from deploy.embedded.service import (
    Backoff,
    ProcessEvent,
    ProcessExited,
    ProcessStarted,
    ProcessStopped,
    Service,
    StartFailed,
    log_event,
)


class Supervisor:
    """Runs services until stopped; also an async context manager.

    It installs no signal handlers: who runs it turns Ctrl-C and SIGTERM into `stop()`, or leaves the
    context. If this process dies without that, Linux kills the services with it.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        on_event: Callable[[ProcessEvent], None] = log_event,
        backoff: Backoff | None = None,
        stop_timeout_s: float = 15.0,
    ) -> None:
        """`stop_timeout_s`: how long a service may take to end after SIGTERM before SIGKILL."""
        self._services = list(services)
        self._on_event = on_event
        self._backoff = backoff or Backoff()
        self._stop_timeout_s = stop_timeout_s
        self._stopping = asyncio.Event()
        self._children: dict[tuple[str, int], Child] = {}
        self._keepers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start every process of every service; returns when all are started, not when they are ready."""
        if self._keepers:
            raise ServerError("the supervisor is already running")
        self._stopping.clear()
        try:
            for service in self._services:
                for index in range(service.processes):
                    child = await self._spawn(service, index)
                    self._keepers.append(asyncio.create_task(self._keep(service, index, child)))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """SIGTERM to all at once, wait, SIGKILL to those that are left; returns when none is."""
        self._stopping.set()
        keepers, self._keepers = self._keepers, []
        await asyncio.gather(*keepers)

    def pids(self) -> dict[str, list[int]]:
        """The process ids now running, by service."""
        running: dict[str, list[int]] = {service.name: [] for service in self._services}
        for (name, _), child in sorted(self._children.items()):
            if child.running:
                running[name].append(child.pid)
        return running

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _spawn(self, service: Service, index: int) -> Child:
        child = await Child.spawn(
            service.name, service.argv, log_path=service.log_path_of(index), env=os.environ | service.env
        )
        self._children[service.name, index] = child
        self._on_event(ProcessStarted(service.name, index, child.pid))
        return child

    async def _keep(self, service: Service, index: int, first: Child) -> None:
        """Restart one process whenever it exits, until we are stopping."""
        child: Child | None = first
        failures = 0
        while child is not None:
            started = time.monotonic()
            if await self._stops_before_exit(child):
                exit_code = await child.stop(signal.SIGTERM, self._stop_timeout_s)
                self._on_event(ProcessStopped(service.name, index, child.pid, exit_code))
                return
            exit_code = await child.wait()
            child.kill_group()
            uptime_s = time.monotonic() - started
            failures = 1 if uptime_s >= self._backoff.reset_after_s else failures + 1
            delay_s = self._backoff.delay_s(failures)
            self._on_event(ProcessExited(service.name, index, child.pid, exit_code, uptime_s, delay_s))
            child = await self._respawn(service, index, failures)

    async def _stops_before_exit(self, child: Child) -> bool:
        """Wait for the child's exit or for our own stop; whether it is the stop."""
        waits = {asyncio.ensure_future(child.wait()), asyncio.ensure_future(self._stopping.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            child.kill_group()
            raise
        finally:
            for wait in waits:
                wait.cancel()
        return self._stopping.is_set()

    async def _respawn(self, service: Service, index: int, failures: int) -> Child | None:
        """Start a process again after its wait; None if we stop before that."""
        while not await self._stops_within(self._backoff.delay_s(failures)):
            try:
                return await self._spawn(service, index)
            except OSError as error:  # The machine is out of processes, memory or disk: keep trying.
                failures += 1
                delay_s = self._backoff.delay_s(failures)
                self._on_event(StartFailed(service.name, index, str(error), delay_s))
        return None

    async def _stops_within(self, delay_s: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), delay_s)
        except TimeoutError:
            return False
        return True
