"""One batch of requests, one transaction: load, decide in arrival order, store; then what to publish.

The second pass over a batch answers from the stored decisions, so it says exactly what the first said.
"""

from collections.abc import Sequence

from asyncpg import UniqueViolationError

from services.redemption.book import Answer
from services.redemption.replies import audit_event
from services.redemption.requests import InvalidRequest, Request
from services.redemption.routing import ReplyRouter
from services.redemption.store import load_book, store_book
from shared.broker import Outgoing
from shared.consuming import KafkaRecord, Received, dead_letter
from shared.database import Pool
from shared.telemetry import get_logger
from shared.topics import AUDIT_EVENTS

SERVICE = "redemption"
ATTEMPTS = 3

log = get_logger(__name__)


class RedemptionHandler:
    """Decides batches of redemption requests."""

    def __init__(self, pool: Pool, router: ReplyRouter, topic_prefix: str) -> None:
        self._pool = pool
        self._router = router
        self._topic_prefix = topic_prefix

    async def __call__(self, received: Sequence[Received[Request]]) -> list[Outgoing]:
        """Decide a batch and return its replies, audit events and dead letters."""
        answers = await self._decide([item.message for item in received])
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

    async def _decide(self, requests: Sequence[Request]) -> list[Answer]:
        """Decide and store; again if another worker has meanwhile decided one of these requests.

        Where no offer's lock orders the copies of a request, the second to be stored is refused; by then the
        first is committed, and is the answer.
        """
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._decide_once(requests)
            except UniqueViolationError:
                log.info("decided elsewhere meanwhile", action="batch.decided_elsewhere", requests=len(requests))
        return await self._decide_once(requests)

    async def _decide_once(self, requests: Sequence[Request]) -> list[Answer]:
        async with self._pool.acquire() as connection, connection.transaction():
            book, now = await load_book(connection, requests)
            answers = [book.answer(request, now) for request in requests]
            await store_book(connection, book, now)
        return answers

    def _dead_letter(self, record: KafkaRecord, error: str) -> Outgoing:
        return dead_letter(record, error, SERVICE, self._topic_prefix)
