"""The limit: a bare COPY of the rows that the system stored, into tables like theirs, batch by batch.

The rows are in PostgreSQL's own binary form beforehand, so that the client does nothing but send bytes.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from deploy.bench.backlog import Stalled
from deploy.bench.binary import encoded, store
from deploy.bench.redemption.preparing import queries
from shared.database import Connection

PASSES: Final = 5
"""COPY is done in a moment, which one checkpoint or neighbour can spoil."""


@dataclass(frozen=True, slots=True)
class RowBatch:
    """The rows of one batch of requests, as COPY takes them."""

    requests: int
    decisions: bytes
    redemptions: bytes


async def read_rows(connection: Connection, count: int, batch_records: int) -> list[RowBatch]:
    """The decisions and redemptions of the first `count` requests of a database, so many a batch."""
    await connection.execute(queries.number_rows)
    await connection.execute(queries.index_numbers)
    batches = []
    for start in range(0, count, batch_records):
        end = min(start + batch_records, count)
        decisions = await encoded(connection, queries.decisions_between, start, end)
        redemptions = await encoded(connection, queries.redemptions_between, start, end)
        batches.append(RowBatch(end - start, decisions, redemptions))
    return batches


async def copy_rate(connection: Connection, batches: Sequence[RowBatch]) -> float:
    """Requests a second whose rows one connection stores, each batch committed; the median of several passes.

    Raises:
        Stalled: not all rows are there afterwards.
    """
    return median([await _pass(connection, batches) for _ in range(PASSES)])


async def _pass(connection: Connection, batches: Sequence[RowBatch]) -> float:
    """Fill new tables; as with a worker's backlog, the clock starts after the first of several batches."""
    await connection.execute(queries.drop_copies)
    await connection.execute(queries.create_decisions_copy)
    await connection.execute(queries.create_redemptions_copy)
    first, timed = (batches[:1], batches[1:]) if len(batches) > 1 else ([], batches)
    await _copy(connection, first)
    started = time.perf_counter()
    await _copy(connection, timed)
    per_s = sum(batch.requests for batch in timed) / (time.perf_counter() - started)
    expected = 2 * sum(batch.requests for batch in batches)
    copied = await connection.fetchval(queries.count_copied)
    if copied != expected:
        raise Stalled(f"COPY stored {copied:,} rows instead of {expected:,}")
    return per_s


async def _copy(connection: Connection, batches: Sequence[RowBatch]) -> None:
    for batch in batches:
        async with connection.transaction():
            await store(connection, "bench_decisions", batch.decisions)
            await store(connection, "bench_redemptions", batch.redemptions)
