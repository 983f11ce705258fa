"""Reads every chain and verifies it, from where its older months were dropped on."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from asyncpg import Record

from services.audit.chain import BrokenLink, ChainVerifier, Entry, Head, canonical_stored
from services.audit.checkpoints import Checkpoint, Sealed, broken_seals, starts
from services.audit.store import queries
from shared.audit_log.reading import ROWS_AT_ONCE
from shared.database import Connection


async def load_heads(connection: Connection) -> dict[int, Head]:
    """The recorded end of every chain."""
    rows = await connection.fetch(queries.load_heads)
    return {row["chain"]: Head(row["sequence"], row["hash"]) for row in rows}


async def load_checkpoints(connection: Connection) -> list[Sealed]:
    """Every checkpoint, in chain and sequence order."""
    return [_sealed(row) for row in await connection.fetch(queries.load_checkpoints)]


def _sealed(row: Record) -> Sealed:
    values = dict(row)
    seal, signed_off_at_us = values.pop("seal"), _whole(values["signed_off_at_us"])
    return Sealed(Checkpoint(**values | {"signed_off_at_us": signed_off_at_us or 0}), seal)


async def walk_chains(connection: Connection, before: datetime | None) -> AsyncIterator[list[tuple[Entry, bytes]]]:
    """Every row (or those recorded before an instant) with its stored hash, in chain and sequence order; needs a
    transaction around it."""
    cursor = await connection.cursor(queries.walk_chains, before)
    while rows := await cursor.fetch(ROWS_AT_ONCE):
        yield [(_entry(row), row["hash"]) for row in rows]


BROKEN_NAMED_MAX: Final = 10_000
"""A log written anew as a whole has as many broken places as rows."""


@dataclass(slots=True)
class ChainsVerified:
    """What verifying has found so far: the first BROKEN_NAMED_MAX broken places and how many there are, the last links
    seen, and how many rows were read of how many there may be (PostgreSQL's estimate).

    `heads` are the recorded ends.
    """

    heads: Mapping[int, Head]
    broken: list[BrokenLink]
    reached: Mapping[int, Head]
    rows: int = 0
    rows_expected: int = 0
    broken_total: int = 0

    def add(self, broken: Iterable[BrokenLink]) -> None:
        """Count broken places, and name them while few are."""
        for each in broken:
            self.broken_total += 1
            if len(self.broken) < BROKEN_NAMED_MAX:
                self.broken.append(each)


async def verifying_chains(connection: Connection, before: datetime | None = None) -> AsyncIterator[ChainsVerified]:
    """Verify every chain from its last checkpoint on, to its end or for rows recorded before an instant.

    Yields the same object again and again as it fills, and once more when all is done. Needs one snapshot: a
    REPEATABLE READ transaction around it.
    """
    heads, checkpoints = await load_heads(connection), await load_checkpoints(connection)
    verifier = ChainVerifier(heads, starts(checkpoints))
    found = ChainsVerified(heads, [], verifier.reached)
    found.add(broken_seals(checkpoints))
    found.rows_expected = await connection.fetchval(queries.estimate_rows)
    async for rows in walk_chains(connection, before):
        found.rows += len(rows)
        found.add(link for entry, hash_ in rows if (link := verifier.check(entry, hash_)))
        yield found
    if before is None:
        found.add(verifier.finish())
    yield found


async def verify_chains(
    connection: Connection, before: datetime | None = None, progress: Callable[[ChainsVerified], None] = lambda _: None
) -> ChainsVerified:
    """Verify as verifying_chains does, to the end."""
    async for found in verifying_chains(connection, before):
        progress(found)
    return found


def _entry(row: Record) -> Entry:
    return Entry(
        chain=row["chain"],
        sequence=row["sequence"],
        event_id=row["event_id"],
        type=row["type"],
        actor=row["actor"],
        entity_type=row["entity_type"],
        entity_id=row["entity_id"],
        offer_id=row["offer_id"],
        user_id=row["user_id"],
        occurred_at_us=_whole(row["occurred_at_us"]),
        data=canonical_stored(row["data"]),
        recorded_at_us=_whole(row["recorded_at_us"]),
    )


def _whole(microseconds: Decimal) -> int | None:
    return int(microseconds) if microseconds.is_finite() else None
