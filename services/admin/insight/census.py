"""Counts every offer's members once a minute or so, since how many there were is stored nowhere.

A round goes over all offers by id, some at a time, each part in a transaction that holds the progress row: several
admin processes share a round, and one that is killed is taken over from. A number is written only where it changed, so
a quiet campaign costs no rows. On its way a round puts old hours together to days, which bounds what is kept.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Final

from services.admin.insight.figures import midnight
from services.admin.insight.store import queries
from shared.database import Connection, Pool
from shared.telemetry import get_logger

TASK: Final = "members"
OFFERS_AT_ONCE: Final = 100
ROUND_S_MIN: Final = 30.0
PAUSE_SHARE: Final = 9
"""It rests this many times as long as it worked, so that it takes a tenth of a connection at most."""
HOURS_KEPT: Final = timedelta(days=90)

log = get_logger(__name__)


class Census:
    """Counts members; several may, one at a time does."""

    def __init__(self, pool: Pool, offers_at_once: int = OFFERS_AT_ONCE) -> None:
        self._pool = pool
        self._offers_at_once = offers_at_once

    async def count(self, round_s_min: float = ROUND_S_MIN) -> bool:
        """Count some offers' members; false if the round is over, none is due, or somebody else is at it."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(queries.commit_lazily)
            held = await connection.fetchrow(queries.hold_task, TASK)
            if held is None:
                return False
            began, after = held["counted_until"], held["after_offer_id"]
            if after is None:
                if held["now"] - timedelta(seconds=round_s_min) < began:
                    return False
                began = held["now"]
            ids = [row["id"] for row in await connection.fetch(queries.next_offers, after, self._offers_at_once)]
            await connection.execute(queries.count_members, ids)
            await self._put_together(connection, ids, held["now"])
            more = len(ids) == self._offers_at_once
            await connection.execute(queries.note_progress, TASK, began, ids[-1] if more else None)
        return more

    async def run(self) -> None:
        """Count until cancelled, resting in between."""
        while True:
            started = time.perf_counter()
            more = False
            try:
                more = await self.count()
            except Exception:
                log.exception("members not counted", action="insight.members_not_counted")
            worked = time.perf_counter() - started
            await asyncio.sleep(PAUSE_SHARE * worked if more else max(ROUND_S_MIN / 10, PAUSE_SHARE * worked))

    @staticmethod
    async def _put_together(connection: Connection, ids: list[object], now: datetime) -> None:
        before = midnight(now.astimezone(UTC) - HOURS_KEPT)
        await connection.execute(queries.fold_decision_counts, ids, before)
        await connection.execute(queries.thin_member_counts, ids, before)
