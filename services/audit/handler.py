"""One batch of audit events, one transaction: drop what is stored, link the rest, store it.

An event stands in the chain of the Kafka partition it came from. The lock on a chain's end is what keeps the
chain whole when two workers hold the same partition for a moment.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from services.audit.chain import Entry, Head, canonical_json, link
from services.audit.records import Linked
from services.audit.store import append, find_stored, lock_chains
from shared import metrics
from shared.batches import Received
from shared.broker import Outgoing
from shared.clock import to_us
from shared.database import Pool
from shared.events.audit_events import AuditEvent

SERVICE = "audit"
CLOCKS_APART_MAX = timedelta(days=1)
"""How far the clock of whoever wrote an event may be ahead of the database's."""

Batch = Sequence[Received[AuditEvent]]


class AuditHandler:
    """Stores batches of audit events."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._turn = asyncio.Lock()

    async def __call__(self, received: Batch) -> list[Outgoing]:
        """Append a batch's new events to their chains; nothing follows from it.

        Raises:
            ValueError, asyncpg.DataError: if an event's data can't be stored as JSON.
        """
        chains = sorted({item.record.partition for item in received})
        async with AsyncExitStack() as opened:
            async with self._turn:  # So that of two batches of one chain the first goes first.
                connection = await opened.enter_async_context(self._pool.acquire())
                await opened.enter_async_context(connection.transaction())
                heads, recorded_at = await lock_chains(connection, chains)
            earliest = min(item.message.occurred_at for item in received)
            since = min(earliest, recorded_at) - CLOCKS_APART_MAX
            stored = await find_stored(connection, (item.message.event_id for item in received), since)
            new = [item for item in _once_each(received) if item.message.event_id not in stored]
            if new:
                await append(connection, link_events(heads, new, recorded_at), heads, recorded_at)
        metrics.AUDIT_ROWS.inc(len(new))
        return []


def _once_each(received: Batch) -> Iterable[Received[AuditEvent]]:
    """The first of each event_id, in arrival order."""
    first: dict[object, Received[AuditEvent]] = {}
    for item in received:
        first.setdefault(item.message.event_id, item)
    return first.values()


def link_events(heads: dict[int, Head], received: Batch, recorded_at: datetime) -> list[Linked]:
    """Link events to their chains in arrival order; `heads` moves on to the new ends."""
    rows: list[Linked] = []
    for item in received:
        chain, event = item.record.partition, item.message
        head = heads[chain]
        entry = _entry(event, chain, head.sequence + 1, recorded_at)
        heads[chain] = Head(entry.sequence, link(head.hash, entry.content()))
        rows.append(Linked(event, entry, recorded_at, heads[chain].hash))
    return rows


def _entry(event: AuditEvent, chain: int, sequence: int, recorded_at: datetime) -> Entry:
    return Entry(
        chain=chain,
        sequence=sequence,
        event_id=event.event_id,
        type=event.type,
        actor=event.actor,
        entity_type=event.entity_type,
        entity_id=event.entity_id,
        offer_id=event.offer_id,
        user_id=event.user_id,
        occurred_at_us=to_us(event.occurred_at),
        data=canonical_json(event.data),
        recorded_at_us=to_us(recorded_at),
    )
