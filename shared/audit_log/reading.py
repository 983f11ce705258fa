"""Finds events in audit_log: runs queries.sql, maps rows to frozen values."""

from collections.abc import AsyncIterator
from typing import Final

from asyncpg import Record

from shared.audit_log.records import Cursor, Filters, FoundEvent
from shared.database import Connection
from shared.sqlfile import load_queries

ROWS_AT_ONCE: Final = 500
"""How many rows a server-side cursor hands over in one round trip."""

_queries = load_queries(__file__)


async def find_page(connection: Connection, filters: Filters, after: Cursor | None, limit: int) -> list[FoundEvent]:
    """At most `limit` events, newest first, from below the cursor."""
    async with connection.transaction(readonly=True):
        await connection.execute(_queries.plan_for_filters)
        rows = await connection.fetch(_queries.find_events, *_arguments(filters, after, limit))
    return [_found(row) for row in rows]


async def stream_events(connection: Connection, filters: Filters) -> AsyncIterator[list[FoundEvent]]:
    """All events that pass, newest first, ROWS_AT_ONCE at a time; needs a transaction around it."""
    await connection.execute(_queries.plan_for_filters)
    cursor = await connection.cursor(_queries.find_events, *_arguments(filters, None, None))
    while rows := await cursor.fetch(ROWS_AT_ONCE):
        yield [_found(row) for row in rows]


def _arguments(filters: Filters, after: Cursor | None, limit: int | None) -> tuple[object, ...]:
    place = (after.occurred_at, after.event_id) if after else (None, None)
    return (
        *(filters.entity_id, filters.offer_id, filters.user_id, filters.type, filters.since, filters.until),
        *place,
        limit,
        filters.entities,
        filters.actor,
    )


def _found(row: Record) -> FoundEvent:
    return FoundEvent(*row.values())
