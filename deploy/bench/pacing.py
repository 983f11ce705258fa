"""Open-loop load: events at even intervals whatever the system does, timed from when each was due.

A late answer delays no later event and shortens no later wait, so slowness is not hidden by waiting for it.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

EVENTS_PER_S: Final = 200
LEAD_S: Final = 0.05
WARM_UP_SHARE: Final = 5


def warm_up_of(events: int) -> int:
    """How many more are sent before those that are measured: one for so many of them."""
    return events // WARM_UP_SHARE


@dataclass(frozen=True, slots=True)
class Latencies:
    """What was seen of events sent at a steady pace; times from when each event was due."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    per_s: float


async def send_paced(count: int, per_s: float, send: Callable[[int, float], Coroutine[Any, Any, None]]) -> None:
    """Call `send(place, due)` at even intervals and return once all have returned.

    `due` is on the clock of `time.perf_counter`; a call never waits for those before it.
    """
    began = time.perf_counter() + LEAD_S
    try:
        async with asyncio.TaskGroup() as sending:
            for place in range(count):
                due = began + place / per_s
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                sending.create_task(send(place, due))
    except ExceptionGroup as failed:  # The first one's text says what happened.
        raise failed.exceptions[0] from failed


def latencies(due: Sequence[float], seen: Sequence[float]) -> Latencies:
    """Percentiles over events due and seen at these times (seconds), each (n,), and the rate they were seen at."""
    waited: np.ndarray[Any, np.dtype[np.float64]] = (np.asarray(seen) - np.asarray(due)) * 1000
    p50, p99 = np.percentile(waited, (50, 99))
    span = max(seen) - min(due)
    return Latencies(float(p50), float(p99), float(waited.max()), len(waited) / span)
