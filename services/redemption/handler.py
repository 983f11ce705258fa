"""One batch of requests, one transaction: load, decide in arrival order, store; then what to publish.

The second pass over a batch answers from the stored decisions, so it says exactly what the first said.
"""

from collections.abc import Sequence

from services.redemption.replies import audit_event
from services.redemption.requests import InvalidRequest, Request
from services.redemption.routing import ReplyRouter
from services.redemption.store import load_book, store_book
from shared.batches import KafkaRecord, Received, dead_letter
from shared.broker import Outgoing
from shared.database import Pool
from shared.topics import AUDIT_EVENTS

SERVICE = "redemption"


class RedemptionHandler:
    """Decides batches of redemption requests."""

    def __init__(self, pool: Pool, router: ReplyRouter, topic_prefix: str) -> None:
        self._pool = pool
        self._router = router
        self._topic_prefix = topic_prefix

    async def __call__(self, received: Sequence[Received[Request]]) -> list[Outgoing]:
        """Decide a batch and return its replies, audit events and dead letters."""
        async with self._pool.acquire() as connection, connection.transaction():
            book, now = await load_book(connection, [item.message for item in received])
            answers = [book.answer(item.message, now) for item in received]
            await store_book(connection, book, now)
        await self._router.learn([item.record for item in received])
        outgoing: list[Outgoing] = []
        for item, answer in zip(received, answers, strict=True):
            outgoing.append(self._router.reply(item.record, answer.request_id, answer.reply))
            if answer.decision is not None:
                event = audit_event(answer.decision)
                outgoing.append(Outgoing(AUDIT_EVENTS, str(event.entity_id).encode(), event.to_bytes()))
            if isinstance(item.message, InvalidRequest):
                outgoing.append(self._dead_letter(item.record, item.message.error))
        return outgoing

    def _dead_letter(self, record: KafkaRecord, error: str) -> Outgoing:
        return dead_letter(record, error, SERVICE, self._topic_prefix)
