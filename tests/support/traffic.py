"""Publishes events and knows where each partition ends, so that a test can wait until a group has read them all."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.broker import client_options
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.settings import KafkaSettings
from shared.topics import TOPUPS, USERS

Event = TopupEvent | UserEvent

POLL_S: Final = 0.05
SLICE: Final = 20
PAUSE_S: Final = 0.05
TIMEOUT_S: Final = 90.0


class Traffic:
    """What upstream services publish to the segmenter, and how far the segmenter has come with it."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._prefix = kafka.kafka_topic_prefix
        self._producer = AIOKafkaProducer(
            **client_options(kafka), acks="all", enable_idempotence=kafka.kafka_idempotent_producer
        )
        self._admin = AIOKafkaAdminClient(**client_options(kafka))
        self._readers = {
            topic: AIOKafkaConsumer(**client_options(kafka), group_id=self._group(topic), enable_auto_commit=False)
            for topic in (TOPUPS, USERS)
        }
        self._ends: defaultdict[str, dict[TopicPartition, int]] = defaultdict(dict)

    async def __aenter__(self) -> Self:
        for client in self._clients():
            await client.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()
        await self._admin.close()
        for reader in self._readers.values():
            await reader.stop()

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish the events of each user in their order, and wait until the cluster has them."""
        sent = []
        for event in events:
            topic = TOPUPS if isinstance(event, TopupEvent) else USERS
            key, value = str(event.user_id).encode(), event.to_bytes()
            sent.append((topic, await self._producer.send(self._prefix + topic, key=key, value=value)))
        for topic, record in sent:
            stored = await record
            ends = self._ends[topic]
            ends[stored.topic_partition] = max(ends.get(stored.topic_partition, 0), stored.offset + 1)

    @asynccontextmanager
    async def flowing(self, events: Sequence[Event]) -> AsyncIterator[None]:
        """While the block runs, publish the events little by little, and then the same ones over again.

        All of them have been published once when the block is left.
        """
        over = asyncio.Event()
        flow = asyncio.create_task(self._flow(events, over))
        try:
            yield
        finally:
            over.set()
            await flow

    async def _flow(self, events: Sequence[Event], over: asyncio.Event) -> None:
        starts = range(0, len(events), SLICE)
        for published, start in enumerate(cycle(starts)):
            if over.is_set() and published >= len(starts):
                return
            await self.publish(events[start : start + SLICE])
            if not over.is_set():
                await asyncio.sleep(PAUSE_S)

    async def until_workers(self, count: int) -> None:
        """Wait until so many workers share the topups among them."""
        async with asyncio.timeout(TIMEOUT_S):
            while await self._workers() != count:  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(POLL_S)

    async def _workers(self) -> int:
        (response,) = await self._admin.describe_consumer_groups([self._group(TOPUPS)])
        _, _, state, _, _, members, *_ = response.groups[0]
        return len(members) if state == "Stable" else 0

    async def lag(self) -> int:
        """How many published events the group has not committed yet."""
        lag = 0
        for topic, ends in self._ends.items():
            for partition, end in ends.items():
                lag += end - (await self._readers[topic].committed(partition) or 0)
        return lag

    async def until_consumed(self) -> None:
        """Wait until the group has committed everything."""
        async with asyncio.timeout(TIMEOUT_S):
            while await self.lag():  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(POLL_S)

    def _group(self, topic: str) -> str:
        return f"{self._prefix}offers.segmenter.{topic}"

    def _clients(self) -> list[AIOKafkaProducer | AIOKafkaConsumer | AIOKafkaAdminClient]:
        return [self._producer, self._admin, *self._readers.values()]


async def read_all(kafka: KafkaSettings, topic: str) -> list[ConsumerRecord[bytes, bytes]]:
    """Everything on a topic (named without the prefix) that nobody writes to any more; each partition in order."""
    name = kafka.kafka_topic_prefix + topic
    partitions = [TopicPartition(name, partition) for partition in range(kafka.kafka_partitions)]
    consumer = AIOKafkaConsumer(**client_options(kafka), fetch_max_wait_ms=20, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        records: list[ConsumerRecord[bytes, bytes]] = []
        async with asyncio.timeout(TIMEOUT_S):
            while any([await _unread(consumer, partition) for partition in partitions]):
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    records += batch
        return records
    finally:
        await consumer.stop()


async def _unread(consumer: AIOKafkaConsumer, partition: TopicPartition) -> bool:
    end = consumer.highwater(partition)
    return end is None or await consumer.position(partition) < end
