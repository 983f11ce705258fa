"""What the segmenter reads and writes at every batch costs the same however many users there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from services.segmenter.store import queries as segmenter
from shared.database import Connection, Pool
from shared.histories import _queries as histories
from shared.outbox import _queries as outbox

NOW = datetime.now(UTC)
BATCH = 50
OPERATORS = [uuid4() for _ in range(3)]

FILL = """
WITH people AS (
    INSERT INTO users (id, created_at, roles)
    SELECT gen_random_uuid(), now(), '{client}' FROM generate_series(1, $1) RETURNING id
), topups AS (
    INSERT INTO topup_requests (id, user_id, operator_id, amount, status, occurred_at)
    SELECT gen_random_uuid(), p.id, $2, 10, 'succeeded', now() - n * interval '1 day'
    FROM people AS p CROSS JOIN generate_series(1, 5) AS n
)
INSERT INTO offer_segment_members (offer_id, user_id, valid_until)
SELECT o.id, p.id, now() + random() * interval '30 days' FROM people AS p CROSS JOIN offers AS o
"""


@dataclass(frozen=True)
class Plan:
    """What a query did: the tables it scanned whole, the indexes it used, the pages it touched."""

    scanned: frozenset[str]
    indexes: frozenset[str]
    pages: int


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes(child)


async def plan_of(connection: Connection, query: str, *arguments: object) -> Plan:
    """Run the query as its prepared, generic plan does, and undo it."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        types = [parameter.name for parameter in (await connection.prepare(query)).get_parameters()]
        literals = [
            await connection.fetchval(f"SELECT quote_nullable(($1::{kind})::text) || '::{kind}'", argument)
            for kind, argument in zip(types, arguments, strict=True)
        ]
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute(
            f"PREPARE looked_at ({', '.join(types)}) AS {query}" if types else f"PREPARE looked_at AS {query}"
        )
        given = f"({', '.join(literals)})" if literals else ""
        (document,) = orjson.loads(
            await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE looked_at {given}")
        )
        await connection.execute("DEALLOCATE looked_at")
    finally:
        await transaction.rollback()
    found = list(nodes(document["Plan"]))
    return Plan(
        scanned=frozenset(node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"),
        indexes=frozenset(node["Index Name"] for node in found if "Index Name" in node),
        pages=document["Plan"]["Shared Hit Blocks"] + document["Plan"]["Shared Read Blocks"],
    )


async def fill(pool: Pool, users: int) -> None:
    await pool.execute(FILL, users, OPERATORS[0])
    await pool.execute("VACUUM ANALYZE users, topup_requests, offer_segment_members")


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
    new = [uuid4() for _ in ids]
    topups = [new, ids, [OPERATORS[0]] * BATCH, ["topup"] * BATCH, [Decimal(10)] * BATCH, ["succeeded"] * BATCH]
    pairs = [[offers[0]] * BATCH, ids]
    soon = NOW + timedelta(days=1, minutes=5)
    wanted: dict[str, tuple[str, tuple[object, ...]]] = {
        "lock_users": (segmenter.lock_users, (ids,)),
        "add_users": (segmenter.add_users, (new,)),
        "load_members": (segmenter.load_members, (ids, None)),
        "store_topups": (segmenter.store_topups, (*topups, [NOW] * BATCH, new)),
        "find_foreign_topups": (segmenter.find_foreign_topups, (new, ids)),
        "load_role_holders": (segmenter.load_role_holders, (ids, ["client"])),
        "load_named": (segmenter.load_named, (ids, offers)),
        "upsert_members": (segmenter.upsert_members, (*pairs, [NOW] * BATCH, [1] * BATCH)),
        "delete_members": (segmenter.delete_members, tuple(pairs)),
        "load_transactions": (histories.load_transactions, (ids,)),
        "take": (outbox.take, (["segments.changed"], 500)),
        "lock_lapsed": (segmenter.lock_lapsed, (1_000,)),
        "find_lapsing": (segmenter.find_lapsing, (soon, soon + timedelta(minutes=1))),
        "seconds_to_next_lapse": (segmenter.seconds_to_next_lapse, ()),
        "next_users": (segmenter.next_users, (ids[0], BATCH)),
    }
    async with pool.acquire() as connection:
        return {name: await plan_of(connection, query, *arguments) for name, (query, arguments) in wanted.items()}


@pytest.fixture
async def plans(pool: Pool) -> tuple[dict[str, Plan], dict[str, Plan]]:
    """The plans among 3,000 users and among ten times as many."""
    offers = await add_offers(pool, 5)
    await fill(pool, 3_000)
    few = await batch_plans(pool, offers)
    await fill(pool, 27_000)
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
