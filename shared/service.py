"""How a service process runs: logging, event loop, stop on SIGTERM or Ctrl-C, and a sign when it is ready."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import uvloop

from shared.settings import TelemetrySettings, load_settings
from shared.telemetry import configure_logging, get_logger
from shared.tracing import export_traces

Serve = Callable[[asyncio.Event, Callable[[], None]], Awaitable[None]]
"""Runs a service until the event is set, calling the function once it takes work."""

CYCLES_OBJECTS_MIN: Final = 50_000

log = get_logger(__name__)


def announce_ready() -> None:
    """Touch the file OFFERS_READY_FILE names, if any: a supervisor or a probe looks for it."""
    log.info("service ready", action="service.ready")
    path = os.environ.get("OFFERS_READY_FILE")
    if path:
        Path(path).touch()


@asynccontextmanager
async def background(*loops: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run endless loops beside the body, and cancel them when it is done."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(serve: Serve) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await serve(stop, announce_ready)
    log.info("service stopped", action="service.stopped")


def _look_for_cycles_rarely() -> None:
    """What a batch makes is gone with it, by its reference count; looking for cycles in it cost a tenth of the time."""
    gc.freeze()
    gc.set_threshold(CYCLES_OBJECTS_MIN)


def run_service(name: str, serve: Serve) -> None:
    """Run a service in this process until it is told to stop, then let it finish what it began.

    Raises:
        ConfigurationError: with one line for each setting that is missing or malformed.
    """
    settings = load_settings(TelemetrySettings)
    configure_logging(name, settings.log_level)
    traces = export_traces(name, settings)
    _look_for_cycles_rarely()
    try:
        uvloop.run(_run(serve))
    finally:
        if traces is not None:
            traces.shutdown()
