"""Feeds records to the redemption service's consumer without a broker, and keeps what it publishes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Final

from aiokafka import TopicPartition

from services.redemption.handler import SERVICE
from services.redemption.requests import Request, read_request
from shared.batches import KafkaRecord
from shared.broker import Outgoing, Publisher
from shared.consuming import Consumer
from shared.database import Pool
from shared.settings import BatchSettings
from shared.topics import REDEMPTION_REQUESTS, dead_letter_topic
from tests.support.deciding import NOWHERE, redemption_handler

DEAD_LETTERS: Final = dead_letter_topic(REDEMPTION_REQUESTS)


class KeepingPublisher(Publisher):
    """Publishes nowhere; takes only what Kafka's client takes, and knows these topics' partitions."""

    def __init__(self, partitions: dict[str, int]) -> None:
        super().__init__(NOWHERE, "test")
        self.published: list[Outgoing] = []
        self._partitions = partitions

    async def partition_counts(self) -> dict[str, int]:
        """The topics there are."""
        return self._partitions

    async def publish_all(self, messages: Iterable[Outgoing]) -> None:
        """Keep them."""
        for message in messages:
            assert message.key is not None or message.value is not None
            assert message.partition is None or 0 <= message.partition < self._partitions[message.topic]
            assert all(isinstance(name, str) for name, _ in message.headers)
            self.published.append(message)


@dataclass(slots=True)
class Delivery:
    """What a subscriber is given for a batch: its records, and whether it was acknowledged or is to come again."""

    raw_message: Sequence[KafkaRecord]
    acknowledged: bool = False
    rewound: list[int] = field(default_factory=list)

    @property
    def consumer(self) -> SimpleNamespace:
        """Where a batch is committed or rewound."""
        return SimpleNamespace(
            assignment=lambda: {TopicPartition(record.topic, record.partition) for record in self.raw_message},
            commit=self._commit,
            seek=lambda partition, offset: self.rewound.append(offset),
        )

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        ends = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in self.raw_message}
        self.acknowledged = offsets == ends


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch: the offsets of dead letters, and replies by the offsets of their requests."""

    dead: frozenset[int]
    replies: dict[int, bytes]


class FedConsumer:
    """The redemption consumer as the service wires it."""

    def __init__(self, pool: Pool, partitions: dict[str, int]) -> None:
        self._publisher = KeepingPublisher(partitions)
        self._consumer: Consumer[Request] = Consumer(
            service=SERVICE,
            topic=REDEMPTION_REQUESTS,
            read=read_request,
            handle=redemption_handler(pool, self._publisher),
            publisher=self._publisher,
            settings=NOWHERE,
            batching=BatchSettings(),
        )

    async def feed(self, records: Sequence[KafkaRecord]) -> Outcome:
        """Have one batch consumed; each record's first correlation id is its offset."""
        delivery = Delivery(records)
        self._publisher.published.clear()
        await self._consumer.consume(await self._consumer.subscription()["decoder"](delivery))
        await self._consumer.settled()
        assert delivery.acknowledged, "the offsets are not committed"
        assert not delivery.rewound, "the batch would come again"
        return outcome_of(self._publisher.published)


def outcome_of(published: Iterable[Outgoing]) -> Outcome:
    """What became of the requests that these answers are to."""
    dead, replies = set(), {}
    for message in published:
        headers = dict(reversed(message.headers))
        if message.topic == DEAD_LETTERS:
            dead.add(int(headers["dlq.offset"]))
        elif "correlation_id" in headers:
            replies[int(headers["correlation_id"])] = message.value or b""
    return Outcome(frozenset(dead), replies)
