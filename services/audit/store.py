"""Appends to audit_log: runs queries.sql, maps rows to frozen values."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import orjson

from services.audit.chain import Head, genesis
from services.audit.records import Linked
from shared.database import Connection
from shared.sqlfile import load_queries

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
