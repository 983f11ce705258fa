"""Messages that must follow a committed change: stored with it, then relayed to Kafka.

A relay that dies between publishing and committing publishes again: every message carries its own
event_id, by which consumers drop what they have.
"""

import asyncio
from collections.abc import Iterator, Sequence
from uuid import UUID

from asyncpg import Record

from shared import metrics
from shared.broker import Outgoing, Publisher
from shared.database import Connection, Pool
from shared.sqlfile import load_queries
from shared.telemetry import get_logger

ROW_MESSAGES_MAX = 500
CLAIM_MAX = 20

log = get_logger(__name__)
_queries = load_queries(__file__, "outbox.sql")


async def add_to_outbox(connection: Connection, topic: str, messages: Sequence[tuple[UUID, str]]) -> None:
    """Store one topic's messages, each a key and a JSON value, in the caller's transaction."""
    for start in range(0, len(messages), ROW_MESSAGES_MAX):
        row = messages[start : start + ROW_MESSAGES_MAX]
        await connection.execute(_queries.add, topic, [key for key, _ in row], [value for _, value in row])


class OutboxRelay:
    """Publishes what one service's topics have in the outbox, whenever told and every few seconds."""

    def __init__(self, pool: Pool, publisher: Publisher, topics: Sequence[str], sweep_s: float = 2.0) -> None:
        self._pool = pool
        self._publisher = publisher
        self._topics = list(topics)
        self._sweep_s = sweep_s
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something to publish."""
        self._wake.set()

    async def relay(self) -> int:
        """Publish everything waiting, in order, after whoever else is publishing; returns how many messages."""
        total = 0
        while True:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_queries.queue, ",".join(self._topics))
                rows = await connection.fetch(_queries.take, self._topics, CLAIM_MAX)
                rows.sort(key=lambda row: row["id"])
                outgoing = [message for row in rows for message in _outgoing(row)]
                await self._publisher.publish_all(outgoing)
            total += len(outgoing)
            if len(rows) < CLAIM_MAX:
                return total

    async def measure_backlog(self) -> None:
        """Bring the backlog's metric up to date."""
        metrics.OUTBOX_ROWS.set(await self._pool.fetchval(_queries.backlog, self._topics))

    async def run(self) -> None:
        """Relay until cancelled. An outage of Kafka or PostgreSQL is logged and waited out."""
        while True:
            try:
                await self.relay()
            except Exception:
                log.exception("outbox not relayed", action="outbox.failed", topics=self._topics)
            try:
                await asyncio.wait_for(self._wake.wait(), timeout=self._sweep_s)
            except TimeoutError:
                continue
            self._wake.clear()


def _outgoing(row: Record) -> Iterator[Outgoing]:
    for key, value in zip(row["message_keys"], row["messages"], strict=True):
        yield Outgoing(row["topic"], str(key).encode(), value.encode())
