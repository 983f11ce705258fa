"""What a preview reads for a chunk of users costs the same however many users there are."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from services.admin.store import _queries as admin
from shared.database import Pool
from shared.histories import _queries as histories
from tests.support.plans import Plan, fill, plan_of

CHUNK = 500
ID_MAX = UUID(int=2**128 - 1)


async def chunk_plans(pool: Pool) -> dict[str, Plan]:
    """Each query of a chunk of a preview, by its name."""
    ids = [row["id"] for row in await pool.fetch("SELECT id FROM users ORDER BY id OFFSET 1000 LIMIT $1", CHUNK)]
    since = datetime.now(UTC) - timedelta(days=30)
    wanted: dict[str, tuple[str, tuple[object, ...]]] = {
        "load_people": (admin.load_people, (ids[0], ID_MAX, CHUNK, ["client"], [])),
        "load_transactions_between": (
            histories.load_transactions_between,
            (ids[0], ids[-1], since, False, None, True, True, True, True),
        ),
    }
    async with pool.acquire() as connection:
        return {name: await plan_of(connection, query, *arguments) for name, (query, arguments) in wanted.items()}


@pytest.fixture
async def plans(pool: Pool) -> tuple[dict[str, Plan], dict[str, Plan]]:
    """The plans among 3,000 users and among ten times as many."""
    await fill(pool, 3_000, uuid4())
    few = await chunk_plans(pool)
    await fill(pool, 27_000, uuid4())
    return few, await chunk_plans(pool)


async def test_a_chunk_is_read_by_indexes_and_costs_no_more_among_more_users(
    plans: tuple[dict[str, Plan], dict[str, Plan]],
) -> None:
    few, many = plans
    assert many["load_people"].indexes == {"users_pkey"}
    assert many["load_transactions_between"].indexes == {"topup_requests_history"}
    grown = {name: (few[name].pages, plan.pages) for name, plan in many.items()}
    assert {name: pages for name, pages in grown.items() if pages[1] > 2 * pages[0] + 5} == {}


async def test_a_chunk_s_transactions_come_from_the_index_in_order_and_unsorted(
    plans: tuple[dict[str, Plan], dict[str, Plan]],
) -> None:
    _, many = plans
    plan = many["load_transactions_between"]
    assert plan.kinds == {"Aggregate", "Index Only Scan"}
