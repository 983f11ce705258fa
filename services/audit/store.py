"""Appends to audit_log and finds what is in it: runs queries.sql, maps rows to frozen values."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import orjson
from asyncpg import Record

from services.audit.chain import Head, genesis
from services.audit.records import Cursor, Filters, FoundEvent, Linked
from shared.database import Connection
from shared.sqlfile import load_queries

ROWS_AT_ONCE = 500
"""How many rows a server-side cursor hands over in one round trip."""

queries = load_queries(__file__)
_COLUMNS = (
    *("event_id", "chain", "sequence", "type", "actor", "entity_type", "entity_id", "offer_id"),
    *("user_id", "occurred_at", "data", "recorded_at", "hash"),
)


async def lock_chains(connection: Connection, chains: Sequence[int]) -> tuple[dict[int, Head], datetime]:
    """Lock the chains' ends until the transaction ends, opening new chains; with the instant at which what is
    appended to them is recorded."""
    rows = await connection.fetch(queries.lock_chains, chains)
    if len(rows) < len(chains):
        starts = [genesis(chain) for chain in chains]
        await connection.execute(
            queries.open_chains,
            chains,
            [start.sequence for start in starts],
            [start.hash for start in starts],
        )
        rows = await connection.fetch(queries.lock_chains, chains)
    return {row["chain"]: Head(row["sequence"], row["hash"]) for row in rows}, rows[0]["recorded_at"]


async def find_stored(connection: Connection, event_ids: Iterable[UUID], since: datetime) -> set[UUID]:
    """Which of these events are in the log already, of those recorded at `since` or later."""
    return {row["event_id"] for row in await connection.fetch(queries.find_stored, list(event_ids), since)}


async def append(
    connection: Connection, rows: Sequence[Linked], heads: Mapping[int, Head], recorded_at: datetime
) -> None:
    """Store new rows, all recorded at one instant, and the new ends of their chains."""
    await connection.execute(queries.open_month, recorded_at)
    await connection.copy_records_to_table("audit_log", records=[_values(row) for row in rows], columns=_COLUMNS)
    await connection.execute(
        queries.move_heads,
        list(heads),
        [head.sequence for head in heads.values()],
        [head.hash for head in heads.values()],
        recorded_at,
    )


def _values(row: Linked) -> tuple[object, ...]:
    entry, event = row.entry, row.event
    return (
        *(entry.event_id, entry.chain, entry.sequence, entry.type, entry.actor, entry.entity_type),
        *(entry.entity_id, entry.offer_id, entry.user_id, event.occurred_at),
        *(orjson.Fragment(entry.data), row.recorded_at, row.hash),
    )


async def find_page(connection: Connection, filters: Filters, after: Cursor | None, limit: int) -> list[FoundEvent]:
    """At most `limit` events, newest first, from below the cursor."""
    async with connection.transaction(readonly=True):
        await connection.execute(queries.plan_for_filters)
        rows = await connection.fetch(queries.find_events, *_arguments(filters, after, limit))
    return [_found(row) for row in rows]


async def stream_events(connection: Connection, filters: Filters) -> AsyncIterator[list[FoundEvent]]:
    """All events that pass, newest first, ROWS_AT_ONCE at a time; needs a transaction around it."""
    await connection.execute(queries.plan_for_filters)
    cursor = await connection.cursor(queries.find_events, *_arguments(filters, None, None))
    while rows := await cursor.fetch(ROWS_AT_ONCE):
        yield [_found(row) for row in rows]


def _arguments(filters: Filters, after: Cursor | None, limit: int | None) -> tuple[object, ...]:
    place = (after.occurred_at, after.event_id) if after else (None, None)
    return (
        *(filters.entity_id, filters.offer_id, filters.user_id, filters.type, filters.since, filters.until),
        *place,
        limit,
    )


def _found(row: Record) -> FoundEvent:
    return FoundEvent(*row.values())
