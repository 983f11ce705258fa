"""How PostgreSQL runs a query among many users: what it scans, which indexes it uses, how many pages it touches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from shared.database import Connection, Pool

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
    """What a query did: the kinds of its steps, the tables it scanned whole, the indexes it used, the pages it
    touched."""

    kinds: frozenset[str]
    scanned: frozenset[str]
    indexes: frozenset[str]
    pages: int


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


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
    found = list(_nodes(document["Plan"]))
    return Plan(
        kinds=frozenset(node["Node Type"] for node in found),
        scanned=frozenset(node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"),
        indexes=frozenset(node["Index Name"] for node in found if "Index Name" in node),
        pages=document["Plan"]["Shared Hit Blocks"] + document["Plan"]["Shared Read Blocks"],
    )


async def fill(pool: Pool, users: int, operator: UUID) -> None:
    """Add users with five topups each on the operator, members of every offer."""
    await pool.execute(FILL, users, operator)
    await pool.execute("VACUUM ANALYZE users, topup_requests, offer_segment_members")
