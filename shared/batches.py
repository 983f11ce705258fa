"""A batch of messages from one fetch: what can be read of it, what can't, and where it stands in its partitions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar, get_args

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from opentelemetry.trace import Span
from pydantic import GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from shared.broker import Outgoing
from shared.telemetry import get_logger
from shared.topics import dead_letter_topic
from shared.tracing import TraceHeaders, headers_of

M = TypeVar("M")
KafkaRecord: TypeAlias = ConsumerRecord[bytes | None, bytes | None]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Received(Generic[M]):
    """One readable message and the record it came in."""

    message: M
    record: KafkaRecord
    span: Span | None = None
    """Open until what follows from the message is published; only if its sender traces it."""

    @property
    def trace(self) -> TraceHeaders:
        """The headers by which whoever reads what follows from it continues its trace."""
        return headers_of(self.span)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is no message of its topic, and why."""

    record: KafkaRecord
    error: str


class Batch(Generic[M]):
    """What a subscriber is handed: the readable messages in arrival order, and the others.

    FastStream documents a subscriber of `Batch[M]` with the JSON Schema of M. `rewound`: it is to be delivered
    again, so that nothing may follow from what was delivered.
    """

    def __init__(
        self,
        received: Sequence[Received[M]],
        unreadable: Sequence[Unreadable],
        records: Sequence[KafkaRecord],
        consumer: AIOKafkaConsumer,
    ) -> None:
        self.received = received
        self.unreadable = unreadable
        self.rewound = False
        self._records = records
        self._consumer = consumer

    @classmethod
    def joined(cls, batches: Sequence["Batch[M]"]) -> "Batch[M]":
        """Batches fetched one after the other, as one."""
        if len(batches) == 1:
            return batches[0]
        return cls(
            [item for batch in batches for item in batch.received],
            [item for batch in batches for item in batch.unreadable],
            [record for batch in batches for record in batch._records],
            batches[0]._consumer,
        )

    def __len__(self) -> int:
        """How many messages it has."""
        return len(self._records)

    def oldest_ms(self) -> int:
        """When its oldest message was published, in milliseconds since 1970."""
        oldest: int = min(record.timestamp for record in self._records)
        return oldest

    async def commit(self) -> None:
        """Commit the offsets after these messages, as far as their partitions are still assigned here.

        A lost assignment means they come again elsewhere.
        """
        after = {partition: offset + 1 for partition, offset in self._offsets(max).items()}
        try:
            mine = self._consumer.assignment()
            await self._consumer.commit({partition: offset for partition, offset in after.items() if partition in mine})
        except (KafkaError, IllegalStateError) as error:
            log.warning("offsets not committed", action="offset.commit_failed", error=repr(error))

    def rewind(self) -> None:
        """Have the batch delivered again, as far as its partitions are still assigned here."""
        self.rewound = True
        for partition, offset in self._offsets(min).items():
            try:
                self._consumer.seek(partition, offset)
            except IllegalStateError:
                log.info("partition reassigned", action="batch.partition_lost", partition=str(partition))

    def _offsets(self, choose: Callable[[int, int], int]) -> dict[TopicPartition, int]:
        """The earliest (min) or latest (max) offset in each partition."""
        chosen: dict[TopicPartition, int] = {}
        for record in self._records:
            partition = TopicPartition(record.topic, record.partition)
            chosen[partition] = choose(record.offset, chosen.get(partition, record.offset))
        return chosen

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
    """The record as its dead-letter topic keeps it: original key, value and headers, and what happened.

    Of a message that was replayed, `dlq.replays` among the headers goes on saying how often.
    """
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
