"""Tells everybody who looks at an offer when its figures change: one query an offer, however many look.

An offer is looked at while somebody watches it. A watcher who is slow misses what lies between, never the newest.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from services.admin.insight.models import Figures
from shared.telemetry import get_logger

LOOK_S: Final = 2.0
PAUSE_SHARE: Final = 9
"""It rests this many times as long as a look took, so that an offer whose figures are dear is looked at less often."""
HEARTBEAT_S: Final = 10.0
WATCHERS_MAX: Final = 200

Load = Callable[[UUID], Awaitable[Figures | None]]

log = get_logger(__name__)


@dataclass(slots=True)
class _Watched:
    """One offer, as it was seen last."""

    watchers: int = 0
    figures: Figures | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    looking: asyncio.Task[None] | None = None

    def show(self, figures: Figures) -> None:
        """Wake the watchers if anything but the time of the look is new."""
        before, self.figures = self.figures, figures
        if before is None or _what_counts(before) != _what_counts(figures):
            self.changed.set()
            self.changed = asyncio.Event()


class Watching:
    """Who watches which offer, up to a number; `close()` ends all of them and lets nobody in any more."""

    def __init__(self, load: Load, watchers_max: int = WATCHERS_MAX, look_s: float = LOOK_S) -> None:
        self._load = load
        self._watchers_max = watchers_max
        self._look_s = look_s
        self._watched: dict[UUID, _Watched] = {}
        self._closed = asyncio.Event()

    @property
    def is_full(self) -> bool:
        """Whether nobody else can be let in."""
        return self._closed.is_set() or sum(one.watchers for one in self._watched.values()) >= self._watchers_max

    def close(self) -> None:
        """End every watch."""
        self._closed.set()

    async def watch(self, offer_id: UUID, heartbeat_s: float = HEARTBEAT_S) -> AsyncGenerator[Figures | None]:
        """The figures, then again whenever they change; None where nothing did for a while. Ends at close()."""
        watched = self._enter(offer_id)
        try:
            sent: Figures | None = None
            while not self._closed.is_set():
                newest, changed = watched.figures, watched.changed
                if newest is not None and (sent is None or _what_counts(newest) != _what_counts(sent)):
                    sent = newest
                    yield newest
                elif not await self._first_of(changed, heartbeat_s):
                    yield None
        finally:
            self._leave(offer_id, watched)

    def _enter(self, offer_id: UUID) -> _Watched:
        watched = self._watched.setdefault(offer_id, _Watched())
        watched.watchers += 1
        if watched.looking is None:
            watched.looking = asyncio.create_task(self._look(offer_id, watched))
        return watched

    def _leave(self, offer_id: UUID, watched: _Watched) -> None:
        watched.watchers -= 1
        if watched.watchers == 0 and watched.looking is not None:
            watched.looking.cancel()
            del self._watched[offer_id]

    async def _look(self, offer_id: UUID, watched: _Watched) -> None:
        while True:
            started = time.perf_counter()
            try:
                figures = await self._load(offer_id)
                if figures is not None:
                    watched.show(figures)
            except Exception:
                log.exception("figures not read", action="insight.not_read", offer_id=str(offer_id))
            await asyncio.sleep(max(self._look_s, PAUSE_SHARE * (time.perf_counter() - started)))

    async def _first_of(self, changed: asyncio.Event, seconds: float) -> bool:
        """Wait for a change or the end; false if neither came in time."""
        waits = [asyncio.create_task(event.wait()) for event in (changed, self._closed)]
        try:
            done, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return bool(done)


def _what_counts(figures: Figures) -> Figures:
    """The figures without the times of the looks, which are new each time."""
    totals = figures.totals.model_copy(update={"members_counted_at": None})
    return figures.model_copy(update={"counted_until": figures.hour.at, "totals": totals})
