"""Watches a service's consumer group: who is in it, and how far it has come."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.broker import client_options
from shared.settings import KafkaSettings

LOOK_S: Final = 0.05
TIMEOUT_S: Final = 60.0


class ConsumerGroup:
    """The group of one service's consumers of one topic."""

    def __init__(self, name: str, admin: AIOKafkaAdminClient, onlooker: AIOKafkaConsumer) -> None:
        self._name = name
        self._admin = admin
        self._onlooker = onlooker

    async def until_members(self, count: int) -> None:
        """Wait until so many members share the partitions among them."""
        async with asyncio.timeout(TIMEOUT_S):
            while await self._members() != count:  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(LOOK_S)

    async def until_consumed(self, ends: Mapping[TopicPartition, int]) -> None:
        """Wait until the group has committed these offsets, each one more than the last published."""
        left: dict[TopicPartition, int] = {}
        try:
            async with asyncio.timeout(TIMEOUT_S):
                while left := await self._left(ends):  # noqa: ASYNC110 - Kafka tells nobody
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"messages never consumed: {left}") from None

    async def _left(self, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """How many messages the group has not committed, of each partition that has any."""
        lags = {each: end - (await self._onlooker.committed(each) or 0) for each, end in ends.items()}
        return {partition: lag for partition, lag in lags.items() if lag > 0}

    async def _members(self) -> int:
        (response,) = await self._admin.describe_consumer_groups([self._name])
        _, _, state, _, _, members, *_ = response.groups[0]
        return len(list(members)) if state == "Stable" else 0


@asynccontextmanager
async def consumer_group(kafka: KafkaSettings, service: str, topic: str) -> AsyncIterator[ConsumerGroup]:
    """A sight of the service's group that takes no part in it."""
    name = f"{kafka.kafka_topic_prefix}offers.{service}.{topic}"
    admin = AIOKafkaAdminClient(**client_options(kafka))
    onlooker = AIOKafkaConsumer(**client_options(kafka), group_id=name, enable_auto_commit=False)
    await admin.start()
    await onlooker.start()
    try:
        yield ConsumerGroup(name, admin, onlooker)
    finally:
        await onlooker.stop()
        await admin.close()
