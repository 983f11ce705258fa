"""What the segmenter reads and writes at every batch costs the same however many users there are."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from services.segmenter.store import queries as segmenter
from shared.database import Pool
from shared.histories import _queries as histories
from shared.outbox import _queries as outbox
from tests.support.plans import Plan, fill, plan_of

BATCH = 50
OPERATORS = [uuid4() for _ in range(3)]


async def add_offers(pool: Pool, count: int) -> list[UUID]:
    rows = await pool.fetch(
        """INSERT INTO offers (code, title, status, discount_type, discount_value)
           SELECT 'PLAN-' || n, 'Plan', 'active', 'percentage', 10 FROM generate_series(1, $1) AS n RETURNING id""",
        count,
    )
    return [row["id"] for row in rows]


async def batch_plans(pool: Pool, offers: list[UUID]) -> dict[str, Plan]:
    """Each query of a batch of topups, on BATCH users, by its name."""
    ids = sorted(row["id"] for row in await pool.fetch("SELECT id FROM users LIMIT $1", BATCH))
    new, now = [uuid4() for _ in ids], datetime.now(UTC)
    topups = [new, ids, [OPERATORS[0]] * BATCH, ["topup"] * BATCH, [Decimal(10)] * BATCH, ["succeeded"] * BATCH]
    pairs = [[offers[0]] * BATCH, ids]
    soon = now + timedelta(days=1, minutes=5)
    wanted: dict[str, tuple[str, tuple[object, ...]]] = {
        "lock_users": (segmenter.lock_users, (ids,)),
        "add_users": (segmenter.add_users, (new,)),
        "load_members": (segmenter.load_members, (ids, None)),
        "store_topups": (segmenter.store_topups, (*topups, [now] * BATCH, new)),
        "find_foreign_topups": (segmenter.find_foreign_topups, (new, ids)),
        "load_role_holders": (segmenter.load_role_holders, (ids, ["client"])),
        "load_named": (segmenter.load_named, (ids, offers)),
        "upsert_members": (segmenter.upsert_members, (*pairs, [now] * BATCH, [1] * BATCH)),
        "delete_members": (segmenter.delete_members, tuple(pairs)),
        "load_transactions": (histories.load_transactions, (ids,)),
        "take": (outbox.take, (["segments.changed"], 500)),
        "lock_lapsed": (segmenter.lock_lapsed, (1_000,)),
        # So short that hardly anybody's ends then: what is found costs a page each, and is more among more users.
        "find_lapsing": (segmenter.find_lapsing, (soon, soon + timedelta(seconds=1))),
        "seconds_to_next_lapse": (segmenter.seconds_to_next_lapse, ()),
        "next_users": (segmenter.next_users, (ids[-1], BATCH)),
    }
    async with pool.acquire() as connection:
        return {name: await plan_of(connection, query, *arguments) for name, (query, arguments) in wanted.items()}


@pytest.fixture
async def plans(pool: Pool) -> tuple[dict[str, Plan], dict[str, Plan]]:
    """The plans among 3,000 users and among ten times as many."""
    offers = await add_offers(pool, 5)
    await fill(pool, 3_000, OPERATORS[0])
    few = await batch_plans(pool, offers)
    await fill(pool, 27_000, OPERATORS[0])
    return few, await batch_plans(pool, offers)


async def test_no_query_of_a_batch_costs_more_among_more_users(
    plans: tuple[dict[str, Plan], dict[str, Plan]],
) -> None:
    few, many = plans
    assert {name: plan.scanned for name, plan in many.items() if plan.scanned} == {}
    # An index grows by a level, and by a page where a user's entries no longer share one with others'.
    grown = {name: (few[name].pages, plan.pages) for name, plan in many.items()}
    assert {name: pages for name, pages in grown.items() if pages[1] > 2 * pages[0] + 5} == {}


async def test_histories_and_memberships_are_read_from_their_indexes_alone(
    plans: tuple[dict[str, Plan], dict[str, Plan]],
) -> None:
    _, many = plans
    assert many["load_transactions"].indexes == {"topup_requests_history"}
    assert many["load_members"].indexes == {"offer_segment_members_user"}
    assert many["lock_users"].indexes == {"users_pkey"}
    assert "offer_segment_members_lapse" in many["lock_lapsed"].indexes
    assert many["find_lapsing"].indexes == {"offer_segment_members_lapse"}
    assert many["seconds_to_next_lapse"].indexes == {"offer_segment_members_lapse"}
