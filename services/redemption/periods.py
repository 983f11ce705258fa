"""Keeps the periods of stored decisions in order: opens the month's, and drops those the retention is over for."""

import asyncio
from datetime import timedelta
from typing import Final

from shared.clock import utc_now
from shared.database import Pool
from shared.sqlfile import load_queries
from shared.telemetry import get_logger

LOOK_S: Final = 600.0

log = get_logger(__name__)
_queries = load_queries(__file__)


async def tend_periods(pool: Pool, retention_days: int) -> None:
    """Open the present month's period if it is not open, and drop the periods closed longer ago than that."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_queries.open_decision_period)
    before = utc_now() - timedelta(days=retention_days)
    async with pool.acquire() as connection, connection.transaction():
        for row in await connection.fetch(_queries.drop_decision_periods, before):
            log.info("decisions dropped", action="decisions.dropped", period=str(row["period"]))


async def keep_periods(pool: Pool, retention_days: int) -> None:
    """Tend to the periods now and then until cancelled. Any number of workers may."""
    while True:
        try:
            await tend_periods(pool, retention_days)
        except Exception:
            log.exception("periods not tended", action="decisions.not_tended")
        await asyncio.sleep(LOOK_S)
