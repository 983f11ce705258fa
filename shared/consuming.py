"""The shell around every consumer: one batch is handled, published and only then acknowledged.

A batch that fails is rewound and comes again, so a handler must say the second time what it said the
first. Messages that can't be read, or that the database refuses whatever else is in the batch, go to the
dead-letter topic; their neighbours are handled as usual.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar, cast, get_args

import asyncpg
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from pydantic import GetCoreSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, core_schema

from shared.broker import Outgoing, Publisher
from shared.settings import BatchSettings, KafkaSettings
from shared.telemetry import get_logger
from shared.topics import dead_letter_topic

M = TypeVar("M")
F = TypeVar("F", bound=Callable[..., Awaitable[None]])
KafkaRecord: TypeAlias = ConsumerRecord[bytes | None, bytes | None]

RETRY_PAUSE_S_MIN = 0.1
RETRY_PAUSE_S_MAX = 5.0
UNPROCESSABLE = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError)
"""Errors that come from a message's content; anything else is an outage, which passes."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """One readable message and the record it came in."""

    message: M
    record: KafkaRecord


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no message of its topic, and why."""

    record: KafkaRecord
    error: str


class Batch(Generic[M]):
    """What a subscriber is handed: the readable messages in arrival order, and the others.

    FastStream documents a subscriber of `Batch[M]` with the JSON Schema of M.
    """

    def __init__(
        self, received: Sequence[Received[M]], unreadable: Sequence[Unreadable], message: KafkaMessage
    ) -> None:
        self.received = received
        self.unreadable = unreadable
        self._message = message

    async def commit(self) -> None:
        """Commit the offsets. A lost assignment means the batch comes again, here or elsewhere."""
        try:
            await self._message.ack()
        except (KafkaError, IllegalStateError) as error:
            log.warning("offsets not committed", action="offset.commit_failed", error=repr(error))

    def rewind(self) -> None:
        """Have the batch delivered again, as far as its partitions are still assigned here."""
        records: Sequence[ConsumerRecord[Any, Any]] = self._message.raw_message
        earliest: dict[TopicPartition, int] = {}
        for record in records:
            partition = TopicPartition(record.topic, record.partition)
            earliest[partition] = min(record.offset, earliest.get(partition, record.offset))
        for partition, offset in earliest.items():
            try:
                self._message.consumer.seek(partition, offset)
            except IllegalStateError:
                log.info("partition reassigned", action="batch.partition_lost", partition=str(partition))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (message_type,) = get_args(source)
        return core_schema.json_or_python_schema(
            json_schema=handler.generate_schema(message_type),
            python_schema=core_schema.is_instance_schema(cls),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        inner: dict[str, Any] = handler.resolve_ref_schema(handler(schema))
        return inner


def error_text(error: Exception) -> str:
    """One line saying what is wrong with a message."""
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(str(part) for part in issue['loc']) or 'message'}: {issue['msg']}"
            for issue in error.errors(include_url=False, include_context=False, include_input=False)
        )[:1000]
    return f"{type(error).__name__}: {error}"[:1000]


def dead_letter(record: KafkaRecord, error: str, service: str, prefix: str = "") -> Outgoing:
    """The record as its dead-letter topic keeps it: original key, value and headers, and what happened."""
    about = {
        "dlq.topic": record.topic,
        "dlq.partition": str(record.partition),
        "dlq.offset": str(record.offset),
        "dlq.service": service,
        "dlq.error": error,
    }
    return Outgoing(
        topic=dead_letter_topic(record.topic.removeprefix(prefix)),
        key=record.key,
        # Kafka's client takes no message without both.
        value=record.value if record.value is not None or record.key is not None else b"",
        headers=[*record.headers, *((name, text.encode()) for name, text in about.items())],
    )


Handler = Callable[[Sequence[Received[M]]], Awaitable[Sequence[Outgoing]]]
"""Handles messages in one transaction and returns what to publish once it has committed."""

Read = Callable[[bytes], M]
"""Reads one message's value; raises ValueError (pydantic's ValidationError is one) if it can't."""


def read_json(adapter: TypeAdapter[M]) -> Read[M]:
    """Reads values as JSON of the adapter's type."""
    return adapter.validate_json


class Consumer(Generic[M]):
    """One topic's consumer in one service: subscription options, reading, handling, dead letters."""

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
    ) -> None:
        self._service = service
        self._topic = topic
        self._read = read
        self._handle = handle
        self._publisher = publisher
        self._settings = settings
        self._batching = batching
        self._failures = 0

    def subscription(self) -> dict[str, Any]:
        """The arguments of the FastStream subscriber, every one that matters spelled out."""
        kafka = self._settings
        return {
            "group_id": f"{kafka.kafka_topic_prefix}offers.{self._service}.{self._topic}",
            "ack_policy": AckPolicy.MANUAL,
            "auto_offset_reset": "earliest",
            "batch": True,
            "max_records": self._batching.batch_records_max,
            "batch_timeout_ms": self._batching.batch_wait_ms,
            "fetch_max_wait_ms": kafka.kafka_fetch_wait_ms_max,
            "session_timeout_ms": kafka.kafka_session_timeout_ms,
            "heartbeat_interval_ms": kafka.kafka_session_timeout_ms // 3,
            "no_reply": True,  # Replies are the handler's own; FastStream's would follow each request's reply_to.
            "parser": _parse,
            "decoder": self._decode,
        }

    async def _decode(self, message: KafkaMessage) -> Batch[M]:
        received: list[Received[M]] = []
        unreadable: list[Unreadable] = []
        records: Sequence[ConsumerRecord[Any, Any]] = message.raw_message
        for record in records:
            try:
                received.append(Received(self._read(record.value or b""), record))
            except Exception as error:  # Whatever reading raises, it is this message's fault alone.
                unreadable.append(Unreadable(record, error_text(error)))
        return Batch(received, unreadable, message)

    async def consume(self, batch: Batch[Any]) -> None:
        """Handle a batch, publish what follows, then commit its offsets; on an outage rewind it."""
        try:
            outgoing = await self._handled(batch.received)
            outgoing += [self._dead_letter(item.record, item.error) for item in batch.unreadable]
            await self._publisher.publish_all(outgoing)
        except Exception:
            self._failures += 1
            pause_s = min(RETRY_PAUSE_S_MAX, RETRY_PAUSE_S_MIN * 2 ** min(self._failures, 10))
            log.exception("batch failed", action="batch.failed", topic=self._topic, retry_in_s=pause_s)
            batch.rewind()
            await asyncio.sleep(pause_s)
            return
        self._failures = 0
        await batch.commit()

    async def _handled(self, received: Sequence[Received[M]]) -> list[Outgoing]:
        try:
            return list(await self._handle(received)) if received else []
        except UNPROCESSABLE as error:
            log.warning("batch refused", action="batch.isolating", topic=self._topic, error=repr(error))
        outgoing: list[Outgoing] = []
        for item in received:
            try:
                outgoing += await self._handle([item])
            except UNPROCESSABLE as error:
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
        )
        return dead_letter(record, error, self._service, self._settings.kafka_topic_prefix)


async def _parse(records: Any, original: Callable[[Any], Awaitable[KafkaMessage]]) -> KafkaMessage:
    """FastStream's own parsing, which headers that are null or not UTF-8 must not break."""
    try:
        return await original(records)
    except (UnicodeDecodeError, AttributeError):
        message = await original(tuple(dataclasses.replace(record, headers=()) for record in records))
        message.raw_message = records
        return message


def subscribe(broker: KafkaBroker, consumer: Consumer[Any], topic: str, settings: KafkaSettings) -> Callable[[F], F]:
    """Subscribes the decorated function, which FastStream documents, to the consumer's topic."""
    decorator = broker.subscriber(settings.kafka_topic_prefix + topic, **consumer.subscription())
    return cast("Callable[[F], F]", decorator)
