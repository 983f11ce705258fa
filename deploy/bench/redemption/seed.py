"""The peer: the design's own transaction, one for each request, on 16 connections, with no Kafka.

Lock the offer, check it, ask the exact function, count the user's uses, raise the count, insert, commit.
Every statement is prepared once a connection; requests are taken by whichever connection is free.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any

from deploy.bench.redemption.options import SEED_CONNECTIONS, SEED_WARM_UP
from deploy.bench.redemption.preparing import queries
from deploy.bench.servers import database
from shared.clock import utc_now
from shared.database import Connection
from shared.events.redemption_requests import RedeemRequest
from shared.pricing import discounted_price

if TYPE_CHECKING:
    from asyncpg import Record
    from asyncpg.prepared_stmt import PreparedStatement

    Statement = PreparedStatement[Record]
else:
    Record = Statement = Any


class SeedSession:
    """One connection that redeems as the design says."""

    def __init__(self, connection: Connection, statements: Sequence[Statement]) -> None:
        self._connection = connection
        self._lock, self._eligible, self._uses, self._count, self._insert = statements

    @classmethod
    async def prepared(cls, connection: Connection) -> "SeedSession":
        """A session whose statements are prepared."""
        texts = (
            queries.lock_offer,
            queries.is_eligible,
            queries.count_uses,
            queries.count_one,
            queries.insert_redemption,
        )
        return cls(connection, [await connection.prepare(text) for text in texts])

    async def redeem(self, request: RedeemRequest) -> bool:
        """One request in one transaction; whether it was accepted."""
        async with self._connection.transaction():
            offer = await self._lock.fetchrow(request.offer_id)
            if offer is None or not _is_open(offer, utc_now()):
                return False
            if not await self._eligible.fetchval(request.offer_id, request.user_id):
                return False
            if await self._is_used_up(offer, request):
                return False
            await self._store(offer, request)
            return True

    async def _is_used_up(self, offer: Record, request: RedeemRequest) -> bool:
        per_user, total = offer["per_user_limit"], offer["total_usage_limit"]
        if per_user is not None and await self._uses.fetchval(request.offer_id, request.user_id) >= per_user:
            return True
        return total is not None and offer["usage_count"] >= total

    async def _store(self, offer: Record, request: RedeemRequest) -> None:
        price = discounted_price(request.unit_price, request.quantity, offer["discount_type"], offer["discount_value"])
        await self._count.fetch(request.offer_id)
        await self._insert.fetch(
            request.request_id,
            request.offer_id,
            request.user_id,
            request.operator_product_id,
            request.quantity,
            price.price_paid,
            price.discount_amount,
        )


def _is_open(offer: Record, now: datetime) -> bool:
    return (
        offer["status"] == "active"
        and (offer["starts_at"] is None or offer["starts_at"] <= now)
        and (offer["ends_at"] is None or offer["ends_at"] > now)
    )


async def seed_rate(database_url: str, requests: Sequence[RedeemRequest]) -> tuple[float, int]:
    """Requests a second from the first begin to the last commit, and how many were accepted.

    The first SEED_WARM_UP requests are redeemed but not timed.
    """
    async with AsyncExitStack() as opened:
        sessions = [
            await SeedSession.prepared(await opened.enter_async_context(database(database_url)))
            for _ in range(SEED_CONNECTIONS)
        ]
        warm_up, timed = requests[:SEED_WARM_UP], requests[SEED_WARM_UP:]
        accepted = await _redeem_all(sessions, warm_up)
        started = time.perf_counter()
        accepted += await _redeem_all(sessions, timed)
        return len(timed) / (time.perf_counter() - started), accepted


async def _redeem_all(sessions: Sequence[SeedSession], requests: Sequence[RedeemRequest]) -> int:
    """Redeem the requests on all sessions at once; how many were accepted."""
    waiting = iter(requests)
    return sum(await asyncio.gather(*(_redeem_while_any(session, waiting) for session in sessions)))


async def _redeem_while_any(session: SeedSession, waiting: Iterator[RedeemRequest]) -> int:
    accepted = 0
    for request in waiting:
        accepted += await session.redeem(request)
    return accepted
