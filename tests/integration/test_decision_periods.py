"""Decisions are kept by month: one period is open at a time, old ones are dropped whole, and nothing is revived."""

import asyncio
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import orjson

from services.redemption.periods import tend_periods
from shared.database import Pool
from tests.support.campaign import add_offer
from tests.support.deciding import redemption_handler, replies_to
from tests.support.requests import redeem
from tests.support.waiting import until

NEXT_YEAR = datetime(datetime.now(UTC).year + 1, 5, 6, tzinfo=UTC)
LOCK_AWAITED = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


async def decide(pool: Pool, *requests: dict[str, object]) -> list[bytes]:
    return await replies_to(redemption_handler(pool), [orjson.dumps(request) for request in requests])


def revoke(redeem_request_id: object) -> dict[str, object]:
    return {"request_id": str(uuid4()), "command": "revoke", "redeem_request_id": str(redeem_request_id)}


async def test_a_request_repeated_in_the_next_period_gets_the_same_reply(pool: Pool) -> None:
    offer_id = await add_offer(pool)
    accepted, rejected = redeem(offer_id), redeem(uuid4())
    first = await decide(pool, accepted, rejected)
    assert await pool.fetchval("SELECT open_decision_period($1)", NEXT_YEAR) == date(NEXT_YEAR.year, 5, 1)
    assert await decide(pool, rejected, accepted) == first[::-1]
    later = await decide(pool, redeem(offer_id))
    assert orjson.loads(later[0])["status"] == "accepted"
    rows = await pool.fetch("SELECT period, count(*) FROM redemption_decisions GROUP BY 1 ORDER BY 1")
    assert [(row["period"], row["count"]) for row in rows[1:]] == [(date(NEXT_YEAR.year, 5, 1), 1)]
    assert rows[0]["count"] == 2


async def test_opening_the_period_that_is_open_changes_nothing(pool: Pool) -> None:
    before = await pool.fetch("SELECT * FROM decision_periods")
    await tend_periods(pool, retention_days=1)
    assert await pool.fetch("SELECT * FROM decision_periods") == before
    assert [row["closed_at"] for row in before] == [None]


async def test_a_period_is_not_closed_while_a_batch_decides_in_it(pool: Pool) -> None:
    async with pool.acquire() as batch, batch.transaction():
        period = await batch.fetchval("SELECT decision_period()")
        opening = asyncio.create_task(pool.fetchval("SELECT open_decision_period($1)", NEXT_YEAR))
        await until(pool, LOCK_AWAITED, True)
        assert await batch.fetchval("SELECT period FROM decision_periods WHERE closed_at IS NULL") == period
    assert await opening == date(NEXT_YEAR.year, 5, 1)


async def test_the_retention_drops_closed_periods_only_when_it_is_over(pool: Pool) -> None:
    request = redeem(uuid4())
    told = await decide(pool, request)
    await pool.execute("SELECT open_decision_period($1)", NEXT_YEAR)
    await pool.execute("UPDATE decision_periods SET closed_at = now() - interval '89 days' WHERE closed_at IS NOT NULL")
    await tend_periods(pool, retention_days=90)
    assert await decide(pool, request) == told
    await pool.execute("UPDATE decision_periods SET closed_at = now() - interval '91 days' WHERE closed_at IS NOT NULL")
    await tend_periods(pool, retention_days=90)
    assert await pool.fetchval("SELECT count(*) FROM redemption_decisions") == 0
    assert await pool.fetchval("SELECT count(*) FROM decision_periods") == 1


async def test_a_redeem_repeated_after_its_decision_was_dropped_is_neither_counted_nor_revived(pool: Pool) -> None:
    offer_id = await add_offer(pool, total_usage_limit=5)
    kept, cancelled = redeem(offer_id), redeem(offer_id)
    told = [orjson.loads(reply) for reply in await decide(pool, kept, cancelled, revoke(cancelled["request_id"]))]
    await pool.execute("DELETE FROM redemption_decisions")
    again = [orjson.loads(reply) for reply in await decide(pool, cancelled, kept, redeem(offer_id))]
    assert again[:2] == [told[1], told[0]]
    assert (again[2]["status"], await usage(pool, offer_id)) == ("accepted", 2)
    revoked = await pool.fetchval("SELECT count(*) FROM offer_redemptions WHERE revoked_at IS NOT NULL")
    assert (revoked, await pool.fetchval("SELECT count(*) FROM offer_redemptions")) == (1, 3)


async def usage(pool: Pool, offer_id: UUID) -> int:
    count: int = await pool.fetchval("SELECT usage_count FROM offers WHERE id = $1", offer_id)
    return count
