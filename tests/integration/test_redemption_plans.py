"""What redemption reads at every batch comes from indexes, however many redemptions and decisions there are."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from services.redemption.store import _queries as redemption
from shared.database import Pool
from tests.support.campaign import add_offer
from tests.support.plans import Plan, plan_of

BATCH = 50
NOW = datetime.now(UTC)

FILL = """
WITH redeemed AS (
    INSERT INTO offer_redemptions (request_id, offer_id, user_id, price_paid, discount_amount)
    SELECT gen_random_uuid(), o.id, gen_random_uuid(), 90, 10
    FROM generate_series(1, $1 / 5) AS n CROSS JOIN offers AS o
    RETURNING request_id, offer_id, user_id, id
), decided AS (
    INSERT INTO redemption_decisions (
        request_id, content_hash, command, status, offer_id, user_id, redemption_id, request, reply, decided_at, period
    )
    SELECT r.request_id, '', 'redeem', 'accepted', r.offer_id, r.user_id, r.id, '{}', '', now(), p.period
    FROM redeemed AS r CROSS JOIN decision_periods AS p WHERE p.closed_at IS NULL
)
INSERT INTO offer_segment_members (offer_id, user_id, valid_until)
SELECT r.offer_id, r.user_id, 'infinity' FROM redeemed AS r
"""


async def fill(pool: Pool, redemptions: int) -> None:
    await pool.execute(FILL, redemptions)
    await pool.execute("VACUUM ANALYZE offer_redemptions, redemption_decisions, offer_segment_members, offers")


async def batch_plans(pool: Pool, offers: list[UUID]) -> dict[str, Plan]:
    """Each query of a batch about BATCH redemptions, by its name."""
    rows = await pool.fetch("SELECT id, request_id, offer_id, user_id FROM offer_redemptions LIMIT $1", BATCH)
    ids, requests = [row["id"] for row in rows], [row["request_id"] for row in rows]
    pairs = [row["offer_id"] for row in rows], [row["user_id"] for row in rows]
    wanted: dict[str, tuple[str, tuple[object, ...]]] = {
        "find_offer_ids": (redemption.find_offer_ids, (["none"], ids, requests)),
        "lock_offers": (redemption.lock_offers, (offers, False)),
        "load_standings": (redemption.load_standings, (*pairs, NOW)),
        "load_redemptions": (redemption.load_redemptions, (ids, [uuid4()])),
        "load_redemptions_of": (redemption.load_redemptions_of, (requests,)),
        "load_decisions": (redemption.load_decisions, (requests,)),
        "revoke": (redemption.revoke, (ids, NOW)),
    }
    async with pool.acquire() as connection:
        return {name: await plan_of(connection, query, *arguments) for name, (query, arguments) in wanted.items()}


@pytest.fixture
async def plans(pool: Pool) -> tuple[dict[str, Plan], dict[str, Plan]]:
    """The plans among 20,000 redemptions and among five times as many."""
    offers = [await add_offer(pool, per_user_limit=3) for _ in range(5)]
    await fill(pool, 20_000)
    few = await batch_plans(pool, offers)
    await fill(pool, 80_000)
    return few, await batch_plans(pool, offers)


async def test_no_query_of_a_batch_costs_more_among_more_redemptions(
    plans: tuple[dict[str, Plan], dict[str, Plan]],
) -> None:
    few, many = plans
    # Five offers fit on a page: reading it whole is right.
    assert frozenset().union(*(plan.scanned for plan in many.values())) <= {"offers"}
    grown = {name: (few[name].pages, plan.pages) for name, plan in many.items()}
    assert {name: pages for name, pages in grown.items() if pages[1] > 2 * pages[0] + 5} == {}


async def test_limits_and_repeats_are_looked_up_in_their_indexes(
    plans: tuple[dict[str, Plan], dict[str, Plan]],
) -> None:
    _, many = plans
    assert "offer_redemptions_standing" in many["load_standings"].indexes
    assert all("redemption_decisions" in name for name in many["load_decisions"].indexes)
    assert many["load_redemptions_of"].indexes == {"offer_redemptions_request_unique"}
