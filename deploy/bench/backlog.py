"""How fast a worker gets through messages that waited for it, seen from the offsets its group commits.

Offsets are committed after the database, so a committed message is a stored one; asking the broker for
them costs the worker and the database nothing.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.bench.workers import Worker
from shared.broker import client_options
from shared.errors import OffersError
from shared.settings import KafkaSettings

POLL_S: Final = 0.025
STALL_S_MAX: Final = 120.0


class Stalled(OffersError):
    """A worker stores nothing any more, or less than it was sent."""


@dataclass(frozen=True, slots=True)
class Drained:
    """A backlog worked off: how fast, without the wait for the group to form, and in how much memory."""

    per_s: float
    rss_mb_max: float


class CommittedOffsets:
    """How many messages of a topic a consumer group has committed."""

    def __init__(self, kafka: KafkaSettings, service: str, topic: str) -> None:
        name = kafka.kafka_topic_prefix + topic
        self._group_id = f"{kafka.kafka_topic_prefix}offers.{service}.{topic}"
        self._partitions = [TopicPartition(name, number) for number in range(kafka.kafka_partitions)]
        self._admin = AIOKafkaAdminClient(**client_options(kafka))

    async def __aenter__(self) -> "CommittedOffsets":
        await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def total(self) -> int:
        """The sum over the partitions; 0 while the group does not exist."""
        try:
            offsets = await self._admin.list_consumer_group_offsets(self._group_id, partitions=self._partitions)
        except KafkaError as error:
            if error.retriable:
                return 0
            raise
        return sum(max(offset.offset, 0) for offset in offsets.values())


async def drain(
    committed: CommittedOffsets, messages: int, worker: Worker, show: Callable[[str], None] = lambda _: None
) -> Drained:
    """Wait until the worker has committed all the messages.

    The clock starts when the first of them are seen to be committed and only counts those after them; a
    backlog of a single batch is timed from the last look that saw none.

    Raises:
        ServerError: the worker ended.
        Stalled: nothing more is committed.
    """
    first_at, first = time.perf_counter(), 0
    latest_at, latest = first_at, 0
    rss_mb_max = 0.0
    while latest < messages:
        await asyncio.sleep(POLL_S)
        total = await committed.total()
        now = time.perf_counter()
        rss_mb_max = max(rss_mb_max, worker.rss_mb())
        if total > latest:
            if latest == 0 and total < messages:
                first_at, first = now, total
            latest_at, latest = now, total
            show(f"{latest:,} of {messages:,}")
        elif latest == 0 and now - latest_at < STALL_S_MAX:
            first_at = now
        elif now - latest_at > STALL_S_MAX:
            raise Stalled(f"{latest:,} of {messages:,} messages stored, then none for {STALL_S_MAX:g} s")
    return Drained((messages - first) / (latest_at - first_at), rss_mb_max)
