"""Ctrl-C and SIGTERM for what runs long: the first stops everything in order, further ones change nothing."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

EXIT_INTERRUPTED: Final = 130
_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


async def interruptible(work: Coroutine[Any, Any, T], told_again: Callable[[], None] = lambda: None) -> T:
    """Run work to its end, or cancel it at the first signal; the second calls `told_again`.

    Once it has returned or raised, the process ignores both signals.

    Raises:
        asyncio.CancelledError: it was stopped.
    """
    task = asyncio.create_task(work)
    signals = 0

    def interrupt() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            task.cancel()
        elif signals == 2:
            told_again()

    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        # Not the loop's own handlers: closing the loop would put back Python's, which raise.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(interrupt))
    try:
        return await task
    finally:
        # All is stopped; a late Ctrl-C must not turn the exit code into a death by signal.
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
