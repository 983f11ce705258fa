"""What the admin page's counts and lists read stays the same however much else there is."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import pytest

from services.admin.insight.store import queries as insight
from services.admin.listing import MEMBERS_EXACT_MAX, SOON
from services.admin.listing import _queries as listing
from shared.clock import utc_now
from shared.database import Pool
from tests.support.insight import ACCEPTED, NOON, add_decisions, add_offers, rejected
from tests.support.plans import Plan, plan_of

DAY: Final = timedelta(days=1)
SPREAD: Final = """
INSERT INTO redemption_decisions (request_id, content_hash, command, status, offer_id, request, reply, decided_at)
SELECT gen_random_uuid(), '', 'redeem', 'accepted', $1, '{}',
    '{"discount_amount": "1.00", "padding": "' || repeat('x', 500) || '"}', $2::timestamptz + n * interval '1 minute'
FROM generate_series(1, $3) AS n
"""
MEMBERS: Final = """
INSERT INTO offer_segment_members (offer_id, user_id, valid_until)
SELECT o.id, gen_random_uuid(), 'infinity' FROM offers AS o CROSS JOIN generate_series(1, $1)
"""
COUNTS: Final = """
INSERT INTO offer_decision_counts
SELECT o.id, date_trunc('hour', now(), 'UTC') - h * interval '1 hour', 'redeem', 'accepted', '', 1, 1
FROM offers AS o CROSS JOIN generate_series(0, $1) AS h
"""


async def list_plan(pool: Pool) -> Plan:
    """The first page of the list."""
    arguments = (None, None, None, SOON, None, None, None, 51, MEMBERS_EXACT_MAX)
    async with pool.acquire() as connection:
        return await plan_of(connection, listing.list_page, *arguments)


async def test_a_page_of_the_list_reads_members_and_counts_of_its_own_offers_alone(pool: Pool) -> None:
    await add_offers(pool, [f"FEW-{place}" for place in range(100)])
    await pool.execute(MEMBERS, 50)
    await pool.execute(COUNTS, 50)
    await pool.execute("VACUUM ANALYZE offers, offer_segment_members, offer_decision_counts")
    few = await list_plan(pool)
    await pool.execute("UPDATE offers SET created_at = created_at + interval '1 year'")
    await add_offers(pool, [f"MANY-{place}" for place in range(1_500)])
    await pool.execute(MEMBERS + " WHERE o.code LIKE 'MANY%'", 50)
    await pool.execute(COUNTS + " WHERE o.code LIKE 'MANY%'", 50)
    await pool.execute("VACUUM ANALYZE offers, offer_segment_members, offer_decision_counts")
    many = await list_plan(pool)
    assert many.scanned & {"offer_segment_members", "offer_decision_counts"} == set()
    assert {"offer_segment_members_pkey", "offer_decision_counts_pkey", "offers_created_at"} <= many.indexes
    assert many.pages < 2 * few.pages + 50


async def test_the_newest_decisions_are_found_among_many_by_the_summary_of_their_times(pool: Pool) -> None:
    (offer,) = (await add_offers(pool, ["ONE"])).values()
    await pool.execute(SPREAD, offer, NOON, 30_000)
    await pool.execute("VACUUM ANALYZE redemption_decisions")
    async with pool.acquire() as connection:
        since = NOON + timedelta(minutes=29_000)
        plan = await plan_of(connection, insight.count_decisions, since, since + timedelta(minutes=60))
        whole = await connection.fetchval("SELECT sum(pg_relation_size(inhrelid)) / 8192 FROM pg_inherits"
                                          " WHERE inhparent = 'redemption_decisions'::regclass")  # fmt: skip
    assert any(index.endswith("decided_at_idx") for index in plan.indexes), plan
    assert not {table for table in plan.scanned if table.startswith("redemption_decisions")}
    assert plan.pages < whole / 3, "it reads the megabytes that the hour is in"


@pytest.fixture
async def counted(pool: Pool) -> UUID:
    """One offer among many, each with a long history of counts."""
    offers = list((await add_offers(pool, [f"CODE-{place}" for place in range(40)])).values())
    await pool.execute(COUNTS, 24 * 30)
    await pool.execute(
        "INSERT INTO offer_member_counts SELECT o.id, date_trunc('hour', now(), 'UTC') - h * interval '1 hour', h"
        " FROM offers AS o CROSS JOIN generate_series(0, 720) AS h"
    )
    await pool.execute(MEMBERS, 300)
    await add_decisions(pool, offers[0], ACCEPTED, utc_now())
    await add_decisions(pool, offers[0], rejected("offer_ended"), utc_now())
    await pool.execute("VACUUM ANALYZE")
    return offers[0]


async def test_an_offers_figures_are_read_by_indexes_and_no_decision_is(pool: Pool, counted: UUID) -> None:
    since = utc_now() - DAY
    async with pool.acquire() as connection:
        plans = [
            await plan_of(connection, insight.load_standing, counted, 1_000),
            await plan_of(connection, insight.load_outcomes, counted, since, "hour"),
            await plan_of(connection, insight.load_member_counts, counted, since),
        ]
    big = {"offer_decision_counts", "offer_member_counts", "offer_segment_members", "redemption_decisions"}
    assert [plan.scanned & big for plan in plans] == [set(), set(), set()]
    assert plans[1].indexes == {"offer_decision_counts_pkey"}
    assert plans[2].indexes == {"offer_member_counts_pkey"}
    assert max(plan.pages for plan in plans) < 1_000, "a thousand pages are a few milliseconds"


async def test_members_are_counted_from_the_index_alone(pool: Pool, counted: UUID) -> None:
    async with pool.acquire() as connection:
        plan = await plan_of(connection, insight.count_members, [counted])
    assert "Index Only Scan" in plan.kinds
    assert {"offer_segment_members_pkey", "offer_segment_members_lapse"} <= plan.indexes
    assert "offer_segment_members" not in plan.scanned
