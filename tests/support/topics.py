"""Reads topics in tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from shared.broker import client_options
from shared.settings import KafkaSettings


class TopicReader:
    """Everything published on one topic, in the order it is read."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.records: list[ConsumerRecord[bytes, bytes]] = []

    async def read(self, count: int, timeout_s: float = 20.0) -> list[ConsumerRecord[bytes, bytes]]:
        """Wait until `count` records have been read in all, and return all read so far."""
        async with asyncio.timeout(timeout_s):
            while len(self.records) < count:
                batches = await self._consumer.getmany(timeout_ms=100)
                for records in batches.values():
                    self.records += records
        return self.records

    async def read_quiet(self, quiet_s: float = 0.5) -> list[ConsumerRecord[bytes, bytes]]:
        """Read until nothing came for a while: for asserting that nothing more was published."""
        while batches := await self._consumer.getmany(timeout_ms=int(quiet_s * 1000)):
            for records in batches.values():
                self.records += records
        return self.records


@asynccontextmanager
async def reading(settings: KafkaSettings, topic: str) -> AsyncIterator[TopicReader]:
    """A reader of a topic (without the prefix) from its beginning."""
    consumer = AIOKafkaConsumer(**client_options(settings), fetch_max_wait_ms=20, auto_offset_reset="earliest")
    await consumer.start()
    name = settings.kafka_topic_prefix + topic
    consumer.assign([TopicPartition(name, partition) for partition in range(settings.kafka_partitions)])
    await consumer.seek_to_beginning()
    try:
        yield TopicReader(consumer)
    finally:
        await consumer.stop()
