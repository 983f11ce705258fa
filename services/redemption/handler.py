"""One batch of requests, one transaction: load, decide in arrival order, store; then what to publish.

The second pass over a batch answers from the stored decisions, so it says exactly what the first said.
"""

import logging
from collections import Counter
from collections.abc import Sequence

from asyncpg import UniqueViolationError

from services.redemption.book import Answer
from services.redemption.catalogue import Catalogue
from services.redemption.replies import audit_message
from services.redemption.requests import InvalidRequest, Request
from services.redemption.routing import ReplyRouter
from services.redemption.store import OfferEdited, load_book, store_book
from shared import metrics
from shared.batches import Received, dead_letter
from shared.broker import Outgoing
from shared.database import Pool
from shared.identifiers import first_identifiers
from shared.telemetry import get_logger
from shared.topics import AUDIT_EVENTS

SERVICE = "redemption"
ATTEMPTS = 3

log = get_logger(__name__)


class RedemptionHandler:
    """Decides batches of redemption requests."""

    def __init__(self, pool: Pool, router: ReplyRouter, topic_prefix: str, catalogue: Catalogue | None = None) -> None:
        self._pool = pool
        self._router = router
        self._topic_prefix = topic_prefix
        self._catalogue = catalogue or Catalogue()

    async def __call__(self, received: Sequence[Received[Request]]) -> list[Outgoing]:
        """Decide a batch and return its replies, audit events and dead letters."""
        answers = await self._answers([item.message for item in received])
        _tell(answers)
        await self._router.learn([item.record for item in received])
        outgoing: list[Outgoing] = []
        for item, answer in zip(received, answers, strict=True):
            trace = item.trace
            outgoing.append(self._router.reply(item.record, answer.request_id, answer.reply, trace))
            if answer.decision is not None:
                entity_id, event = audit_message(answer.decision)
                outgoing.append(Outgoing(AUDIT_EVENTS, str(entity_id).encode(), event, trace))
            if isinstance(item.message, InvalidRequest):
                outgoing.append(dead_letter(item.record, item.message.error, SERVICE, self._topic_prefix))
        return outgoing

    async def _answers(self, requests: Sequence[Request]) -> list[Answer]:
        """Decide and store; again, carefully, where others came between.

        A unique violation means that another worker decided one of these requests meanwhile (its decision is
        the answer from now on), or somebody did so long ago that only the redemption is left.
        """
        for attempt in range(ATTEMPTS - 1):
            try:
                return await self._decide(requests, careful=attempt > 0)
            except (OfferEdited, UniqueViolationError) as error:
                log.info(
                    "batch decided again",
                    action="batch.again",
                    requests=len(requests),
                    first=first_identifiers(requests),
                    error=repr(error),
                )
        return await self._decide(requests, careful=True)

    async def _decide(self, requests: Sequence[Request], *, careful: bool = False) -> list[Answer]:
        async with self._pool.acquire() as connection, connection.transaction():
            book = await load_book(connection, self._catalogue, requests, careful=careful)
            answers = [book.answer(request) for request in requests]
            await store_book(connection, book)
        return answers


def _tell(answers: Sequence[Answer]) -> None:
    """Count what was decided. Those that came too late, mostly for an outage, are worth a line."""
    for (command, status, reason), count in Counter(answer.outcome for answer in answers).items():
        metrics.DECISIONS.labels(command, status, reason or "").inc(count)
    late = [answer for answer in answers if answer.outcome[2] == "deadline_passed"]
    if late:
        log.warning("requests came late", action="request.late", requests=len(late), first=first_identifiers(late))
    if logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
        for answer in answers:
            command, status, reason = answer.outcome
            fields = {"request_id": str(answer.request_id), "command": command, "status": status, "reason": reason}
            log.debug("request decided", action="request.decided", **fields)
