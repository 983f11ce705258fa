"""Messages that must follow a committed change: stored with it, then relayed to Kafka.

A relay that dies between publishing and committing publishes again: every message carries its own
event_id, by which consumers drop what they have.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from shared.broker import Outgoing, Publisher
from shared.database import Connection, Pool
from shared.events.fields import Message
from shared.sqlfile import load_queries
from shared.telemetry import get_logger

CLAIM_MAX = 500

log = get_logger(__name__)
_queries = load_queries(__file__, "outbox.sql")


async def add_to_outbox(connection: Connection, messages: Sequence[tuple[str, UUID, Message]]) -> None:
    """Store (topic, key, message) in the caller's transaction."""
    if messages:
        await connection.execute(
            _queries.add,
            [topic for topic, _, _ in messages],
            [key for _, key, _ in messages],
            [message.model_dump_json() for _, _, message in messages],
        )


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
        """Publish everything waiting that nobody else is publishing; returns how many messages."""
        total = 0
        while True:
            async with self._pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch(_queries.take, self._topics, CLAIM_MAX)
                rows.sort(key=lambda row: row["id"])
                await self._publisher.publish_all(
                    Outgoing(row["topic"], str(row["message_key"]).encode(), row["value"].encode()) for row in rows
                )
            total += len(rows)
            if len(rows) < CLAIM_MAX:
                return total

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
