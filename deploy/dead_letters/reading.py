"""Reads a topic from its beginning to where it ends now, whatever the broker."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.batches import KafkaRecord
from shared.broker import client_options
from shared.errors import DeliveryError, OffersError
from shared.reaching import start_client
from shared.settings import KafkaSettings

CHUNK: Final = 500
SILENCE_S_MAX: Final = 15.0
LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets of one partition to read, `end` exclusive."""

    start: int
    end: int


class Reading:
    """One topic's partitions, or one of them, as of now; `spans` by partition."""

    def __init__(self, consumer: AIOKafkaConsumer, topic: str, spans: Mapping[int, Span]) -> None:
        self.spans = spans
        self._consumer = consumer
        self._spans = {TopicPartition(topic, partition): span for partition, span in spans.items()}

    @property
    def total(self) -> int:
        """How many records there are to read, at most: offsets may lack theirs."""
        return sum(span.end - span.start for span in self.spans.values())

    async def progress(self) -> int:
        """How many of them have been read."""
        return sum([min(await self._consumer.position(at), span.end) - span.start for at, span in self._spans.items()])

    async def chunks(self) -> AsyncIterator[list[KafkaRecord]]:
        """The records, at most CHUNK at a time.

        Raises:
            DeliveryError: if Kafka hands out nothing for a long while.
        """
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        while unread := [at for at, span in self._spans.items() if await self._consumer.position(at) < span.end]:
            found = await self._consumer.getmany(*unread, timeout_ms=500, max_records=CHUNK)
            if found:
                heard_at = loop.time()
                yield [
                    record for at, records in found.items() for record in records if record.offset < self._spans[at].end
                ]
            elif loop.time() - heard_at > SILENCE_S_MAX:
                raise DeliveryError(f"Kafka handed out nothing of {unread[0].topic} for {SILENCE_S_MAX:g} s")


@asynccontextmanager
async def reading(settings: KafkaSettings, topic: str, partition: int | None = None) -> AsyncIterator[Reading]:
    """What a topic (without the prefix), or one partition of it, holds now.

    Raises:
        OffersError: if there is no such topic or partition.
        DeliveryError: if Kafka does not answer.
    """
    name = settings.kafka_topic_prefix + topic
    partitions = await _partitions(settings, name)
    if partition is not None:
        if partition not in partitions:
            raise OffersError(f"{topic} has no partition {partition}; it has 0 to {partitions[-1]}")
        partitions = [partition]
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        client_id="offers-dlq",
        group_id=None,
        fetch_max_wait_ms=settings.kafka_fetch_wait_ms_max,
    )
    await consumer.start()
    try:
        yield Reading(consumer, name, await _spans(consumer, [TopicPartition(name, number) for number in partitions]))
    finally:
        await consumer.stop()


async def _partitions(settings: KafkaSettings, name: str) -> list[int]:
    options = client_options(settings)
    admin = AIOKafkaAdminClient(**options)
    try:
        await start_client(admin, options)
        if name not in await admin.list_topics():
            raise OffersError(f"the topic {name} does not exist; `offers topics` creates it")
        (described,) = await admin.describe_topics([name])
    finally:
        await admin.close()
    return sorted(partition["partition"] for partition in described["partitions"])


async def _spans(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> dict[int, Span]:
    """What there is to read; the consumer stands at the starts."""
    consumer.assign(partitions)
    begins = await consumer.beginning_offsets(partitions)
    for at in partitions:
        consumer.seek(at, begins[at])
    ends = await _ends(consumer, partitions)
    return {at.partition: Span(begins[at], ends[at]) for at in partitions}


async def _ends(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
    """Where each partition ends, as its first fetch says.

    Not end_offsets(): the embedded broker answers that with the start of the last batch.
    """
    try:
        async with asyncio.timeout(SILENCE_S_MAX):
            while True:
                ends = {at: consumer.highwater(at) for at in partitions}
                if None not in ends.values():
                    return ends
                await asyncio.sleep(LOOK_S)  # The consumer fetches in the background.
    except TimeoutError:
        raise DeliveryError(f"Kafka didn't hand out {partitions[0].topic} in {SILENCE_S_MAX:g} s") from None
