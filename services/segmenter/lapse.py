"""Ends memberships whose time has come, so that segments.changed tells of lapses too.

Redemptions don't wait for it: a row past its valid_until counts for nothing.
"""

import asyncio
from typing import Final

from services.segmenter.announcements import announce_departures
from services.segmenter.store import queries
from shared.database import Pool
from shared.outbox import OutboxRelay
from shared.telemetry import get_logger

LOOK_S: Final = 0.5
USERS_MAX: Final = 1_000

log = get_logger(__name__)


async def end_lapsed(pool: Pool) -> int:
    """End up to USERS_MAX users' lapsed memberships; returns how many memberships ended."""
    async with pool.acquire() as connection, connection.transaction():
        users = [row["id"] for row in await connection.fetch(queries.lock_lapsed, USERS_MAX)]
        if not users:
            return 0
        # A second statement sees what a batch may have extended before its users were locked here.
        rows = await connection.fetch(queries.delete_lapsed, users)
        await announce_departures(
            connection, [((row["offer_id"], row["user_id"]), row["valid_until_us"]) for row in rows]
        )
        return len(rows)


async def run_lapses(pool: Pool, relay: OutboxRelay) -> None:
    """End lapsed memberships until cancelled."""
    while True:
        try:
            while await end_lapsed(pool):
                relay.wake()
        except Exception:
            log.exception("lapses not ended", action="lapse.failed")
        await asyncio.sleep(LOOK_S)
