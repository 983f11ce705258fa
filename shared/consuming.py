"""The shell around every consumer: one batch is handled, published and only then acknowledged.

A batch that fails is rewound and comes again, so a handler must say the second time what it said the
first. Messages that can't be read, or that the database refuses whatever else is in the batch, go to the
dead-letter topic; their neighbours are handled as usual.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import asyncpg
from faststream import AckPolicy
from faststream.kafka import KafkaMessage

from shared.batches import Batch, KafkaRecord, Received, dead_letter, error_text
from shared.broker import Outgoing, Publisher
from shared.identifiers import first_identifiers, identifiers_in
from shared.metrics import ConsumerMetrics
from shared.reading import Read, parse, read_batch
from shared.settings import BatchSettings, KafkaSettings
from shared.telemetry import get_logger
from shared.topics import consumer_group, dead_letter_topic
from shared.tracing import end_spans, fail

M = TypeVar("M")

RETRY_PAUSE_S_MIN = 0.1
RETRY_PAUSE_S_MAX = 5.0
DELIVERED_MAX = 2
"""Batches of a topic that are past their transaction: one being published, one whose offsets are committed."""
UNPROCESSABLE = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError)
"""Errors that come from a message's content; anything else is an outage, which passes."""

log = get_logger(__name__)

Handler = Callable[[Sequence[Received[M]]], Awaitable[Sequence[Outgoing]]]
"""Handles messages in one transaction and returns what to publish once it has committed."""


class Consumer(Generic[M]):
    """One topic's consumer in one service: subscription options, reading, handling, dead letters.

    Batches overlap: while one is in its transaction, the next is read, the one before is published and the
    offsets of the one before that are committed. They are published and committed in order. What has been
    read when a transaction can begin goes into it together: a batch is small while there is little to do.
    """

    def __init__(
        self,
        *,
        service: str,
        topic: str,
        read: Read[M],
        handle: Handler[M],
        publisher: Publisher,
        settings: KafkaSettings,
        batching: BatchSettings,
        transactions: int = 1,
    ) -> None:
        """`transactions`: how many batches may be in theirs at once, where the order of batches is all the same."""
        self._service = service
        self._topic = topic
        self._read = read
        self._handle = handle
        self._publisher = publisher
        self._settings = settings
        self._batching = batching
        self._metrics = ConsumerMetrics(topic)
        self._failures = 0
        self._pause_s = 0.0
        self._ending = asyncio.Event()
        self._taken = asyncio.Event()
        self._room = asyncio.Semaphore(transactions + DELIVERED_MAX)
        self._handling = asyncio.Semaphore(transactions)
        self._published: asyncio.Event | None = None
        self._committing = asyncio.Lock()
        self._fetched: Batch[Any] | None = None
        self._waiting: list[Batch[Any]] = []
        self._underway: list[Batch[Any]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._next: asyncio.Task[None] | None = None

    def subscription(self) -> dict[str, Any]:
        """The arguments of the FastStream subscriber, every one that matters spelled out."""
        kafka = self._settings
        return {
            "group_id": consumer_group(self._service, self._topic, kafka.kafka_topic_prefix),
            "ack_policy": AckPolicy.MANUAL,
            "auto_offset_reset": "earliest",
            "batch": True,
            "max_records": self._batching.batch_records_max,
            "fetch_max_wait_ms": kafka.kafka_fetch_wait_ms_max,
            "session_timeout_ms": kafka.kafka_session_timeout_ms,
            "heartbeat_interval_ms": kafka.kafka_session_timeout_ms // 3,
            "no_reply": True,  # Replies are the handler's own; FastStream's would follow each request's reply_to.
            "parser": parse,
            "decoder": self._decode,
        }

    async def _decode(self, message: KafkaMessage) -> Batch[M]:
        self._fetched = read_batch(message, self._read, f"{self._topic} {self._service}")
        return self._fetched

    async def consume(self, batch: Batch[Any]) -> None:
        """Take what was fetched in. Returns when more may be read, which is before this is done."""
        if self._pause_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), self._pause_s)
        if self._ending.is_set() or batch.rewound:  # It comes again: nothing of it is committed.
            return
        self._fetched = None
        self._waiting.append(batch)
        self._begin_next()
        while sum(map(len, self._waiting)) >= self._batching.batch_records_max:
            self._taken.clear()
            await self._taken.wait()

    async def finish(self) -> None:
        """Take nothing more in, and wait for what is under way."""
        self._ending.set()
        await self.settled()

    async def settled(self) -> None:
        """Wait for all that was taken in."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _begin_next(self) -> None:
        """Have what waits processed, once it can be."""
        if self._next is None and self._waiting:
            self._next = asyncio.create_task(self._process(), name=f"batch of {self._topic}")
            self._tasks.add(self._next)
            self._next.add_done_callback(self._tasks.discard)

    def _take(self) -> Batch[Any] | None:
        """What waits, as one batch of no more messages than allowed."""
        self._next = None
        count = total = 0
        for batch in self._waiting:
            total += len(batch)
            if count and total > self._batching.batch_records_max:
                break
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        self._taken.set()
        self._begin_next()
        return Batch.joined(taken) if taken else None

    async def _process(self) -> None:
        """Handle a batch, publish what follows, then commit its offsets; on an outage rewind it."""
        async with self._room:
            batch: Batch[Any] | None = None
            published = asyncio.Event()
            try:
                async with self._handling:
                    batch = self._take()
                    if batch is None:
                        return
                    self._underway.append(batch)
                    before, self._published = self._published, published
                    outgoing = await self._handled_in_time(batch)
                    outgoing += [self._dead_letter(item.record, item.error) for item in batch.unreadable]
                if before is not None:
                    await before.wait()
                if batch.rewound:
                    return
                await self._publisher.publish_all(outgoing)
                self._count_dead_letters(outgoing)
                end_spans(item.span for item in batch.received)
                self._failures, self._pause_s = 0, 0.0
                published.set()
                async with self._committing:
                    await batch.commit()
            except Exception:
                self._start_over(batch)
            finally:
                published.set()  # If it failed, whoever waits for it was rewound too.
                if batch is not None:
                    self._underway.remove(batch)

    def _start_over(self, failed: Batch[Any] | None) -> None:
        """Rewind a batch that failed and those after it: what they have stored already is answered as it was."""
        self._failures += 1
        self._pause_s = min(RETRY_PAUSE_S_MAX, RETRY_PAUSE_S_MIN * 2 ** min(self._failures, 10))
        self._metrics.failed()
        messages = [] if failed is None else [item.message for item in failed.received]
        log.exception(
            "batch failed",
            action="batch.failed",
            topic=self._topic,
            retry_in_s=self._pause_s,
            messages=len(messages),
            first=first_identifiers(messages),
        )
        if failed is None or failed.rewound:
            return
        fetched = [] if self._fetched is None else [self._fetched]
        batches = self._underway[self._underway.index(failed) :] + self._waiting + fetched
        for batch in reversed(batches):  # The last word has the earliest.
            batch.rewind()
        self._waiting.clear()
        self._taken.set()

    async def _handled_in_time(self, batch: Batch[M]) -> list[Outgoing]:
        """Handle what can be read of a batch, and note what that took."""
        begun = time.perf_counter()
        outgoing = await self._handled(batch.received)
        self._metrics.handled(len(batch), time.perf_counter() - begun, batch.oldest_ms())
        return outgoing

    def _count_dead_letters(self, published: Sequence[Outgoing]) -> None:
        """Those of a batch, once they are safe."""
        dead_letters = dead_letter_topic(self._topic)
        self._metrics.dead_lettered(sum(1 for message in published if message.topic == dead_letters))

    async def _handled(self, received: Sequence[Received[M]]) -> list[Outgoing]:
        try:
            return list(await self._handle(received)) if received else []
        except UNPROCESSABLE as error:
            first = first_identifiers([item.message for item in received])
            log.warning("batch refused", action="batch.isolating", topic=self._topic, error=repr(error), first=first)
        outgoing: list[Outgoing] = []
        for item in received:
            try:
                outgoing += await self._handle([item])
            except UNPROCESSABLE as error:
                fail(item.span, error)
                outgoing.append(self._dead_letter(item.record, error_text(error)))
        return outgoing

    def _dead_letter(self, record: KafkaRecord, error: str) -> Outgoing:
        log.warning(
            "message dead-lettered",
            action="message.dead_lettered",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=error,
            **identifiers_in(record.value),
        )
        return dead_letter(record, error, self._service, self._settings.kafka_topic_prefix)
