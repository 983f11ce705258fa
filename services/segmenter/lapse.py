"""Looks after memberships as their time comes: ends what has lapsed, extends what holds for longer.

Redemptions don't wait for it: a row past its valid_until counts for nothing, and they ask the exact
function. It is for whoever reads the table, and for segments.changed, which tells of lapses too.
"""

import asyncio
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.segmenter.evaluation import Evaluator
from services.segmenter.membership import EXTEND_ALL_US, EXTEND_WITHIN_US
from services.segmenter.store import evaluation_time, lock_users, queries
from shared.database import Pool
from shared.outbox import OutboxRelay
from shared.telemetry import get_logger

LOOK_S: Final = 0.5
AHEAD_S: Final = EXTEND_WITHIN_US / 2 / 1_000_000
"""How long before its end a row is looked at; nearer than twice that, nobody puts an extension off."""
USERS_MAX: Final = 1_000
QUIET_EXTENDED_MAX: Final = 100
QUIET_USERS_MAX: Final = 50
POSTPONED_MAX: Final = 100_000

log = get_logger(__name__)


class Postponed:
    """Users whose rows promise less than the truth, written once the service is less busy.

    A bounded memory: of a user who is forgotten, the rows are extended when their time comes.
    """

    def __init__(self) -> None:
        self._users: dict[UUID, None] = {}
        self._handled = 0

    def note(self, handled: int, postponed: Iterable[UUID]) -> None:
        """So many users were handled just now, and the rows of some left as they are."""
        self._handled += handled
        self._users.update(dict.fromkeys(postponed))
        while len(self._users) > POSTPONED_MAX:
            self._users.pop(next(iter(self._users)))

    def take(self) -> list[UUID]:
        """Some of them; none if there was much else to do since the last time."""
        quiet, self._handled = self._handled <= QUIET_USERS_MAX, 0
        taken = list(self._users)[:QUIET_EXTENDED_MAX] if quiet else []
        for user in taken:
            del self._users[user]
        return taken


async def end_lapsed(pool: Pool, evaluator: Evaluator | None = None) -> int:
    """End the memberships of up to USERS_MAX users whose time has come, or extend what an extension was put
    off for. Returns how many memberships there were."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(queries.share_segments)
        ids = [row["id"] for row in await connection.fetch(queries.lock_lapsed, USERS_MAX)]
        if not ids:
            return 0
        users = await lock_users(connection, ids)
        changes = await (evaluator or Evaluator()).update(connection, users)
        return len(changes.upserts) + len(changes.departed)


async def extend(pool: Pool, evaluator: Evaluator, ids: Collection[UUID], within_us: int = EXTEND_WITHIN_US) -> None:
    """Write what was put off for these users, where it ends within so many microseconds."""
    if not ids:
        return
    async with pool.acquire() as connection, connection.transaction():
        users = await lock_users(connection, ids)
        await evaluator.update(connection, users, extend_within_us=within_us)


class LapseTimer:
    """Sleeps until the membership that ends first does, and looks after those that end soon."""

    def __init__(self, pool: Pool, evaluator: Evaluator, postponed: Postponed, relay: OutboxRelay) -> None:
        self._pool = pool
        self._evaluator = evaluator
        self._postponed = postponed
        self._relay = relay
        self._looked_until: datetime | None = None

    async def run(self) -> None:
        """Look after memberships until cancelled."""
        while True:
            pause_s = LOOK_S
            try:
                pause_s = await self.look()
            except Exception:
                log.exception("lapses not ended", action="lapse.failed")
            await asyncio.sleep(pause_s)

    async def look(self) -> float:
        """Do what is due now; returns for how many seconds nothing else will be, LOOK_S at most."""
        while await end_lapsed(self._pool, self._evaluator):
            self._relay.wake()
        await self._extend_soon_ending()
        await extend(self._pool, self._evaluator, self._postponed.take(), EXTEND_ALL_US)
        nearest_s = await self._pool.fetchval(queries.seconds_to_next_lapse)
        return LOOK_S if nearest_s is None else min(LOOK_S, max(0.01, nearest_s))

    async def _extend_soon_ending(self) -> None:
        """Evaluate, once, the users of whatever has come to end within AHEAD_S."""
        async with self._pool.acquire() as reading, reading.transaction():
            now = await evaluation_time(reading)
            until = now + timedelta(seconds=AHEAD_S)
            page: set[UUID] = set()
            async for row in reading.cursor(queries.find_lapsing, self._looked_until or now, until):
                page.add(row["user_id"])
                if len(page) == USERS_MAX:
                    await extend(self._pool, self._evaluator, page)
                    page.clear()
            await extend(self._pool, self._evaluator, page)
        self._looked_until = until
