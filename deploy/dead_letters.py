"""Looks at dead letters and sends them again.

What was replayed is remembered as the committed offsets of a consumer group, so that a second replay sends
nothing twice. A replay that dies between sending and committing, or two at the same moment, may send up to
CHUNK messages twice; so does a replay after Kafka has forgotten the group (a week unused, by default).
Every consumer drops what it has already.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from shared.batches import KafkaRecord
from shared.broker import Outgoing, Publisher, client_options
from shared.errors import DeliveryError, OffersError
from shared.settings import KafkaSettings
from shared.topics import CONSUMED, dead_letter_topic

GROUP: Final = "offers.dlq-replay"
CHUNK: Final = 500
SILENCE_S_MAX: Final = 15.0
LOOK_S: Final = 0.02
_ABOUT: Final = "dlq."


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record of a dead-letter topic; partition and offset are its own there."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    def about(self, name: str) -> str:
        """What is known of its death: topic, partition, offset, service or error; empty if unknown."""
        texts = [value for header, value in self.headers if header == _ABOUT + name]
        return texts[-1].decode(errors="replace") if texts else ""

    def original(self, topic: str) -> Outgoing:
        """The message as it first came."""
        headers = [header for header in self.headers if not header[0].startswith(_ABOUT)]
        # The client library refuses a record with neither key nor value; readers take an empty value for none.
        value = b"" if self.key is None and self.value is None else self.value
        return Outgoing(topic, self.key, value, headers)


@dataclass(frozen=True, slots=True)
class Listing:
    """The first dead letters of those asked for, and how many there are in all."""

    letters: Sequence[DeadLetter]
    total: int


@dataclass(frozen=True, slots=True)
class _Span:
    """Offsets to read, `end` exclusive."""

    start: int
    end: int


async def list_dead_letters(
    settings: KafkaSettings, topic: str, *, replayed_too: bool = False, limit: int = 100
) -> Listing:
    """The dead letters of a topic that wait to be replayed, or all that are kept.

    Raises:
        OffersError: if the topic has no dead letters at all.
    """
    topic = _checked(topic)
    letters: list[DeadLetter] = []
    async with _consumer(settings) as consumer:
        spans = await _spans(consumer, settings, topic, replayed_too)
        async for records in _read(consumer, spans):
            letters += [_letter(record) for record in records]
            if len(letters) >= limit:
                break
    letters.sort(key=lambda letter: (letter.timestamp_ms, letter.partition, letter.offset))
    return Listing(letters[:limit], sum(span.end - span.start for span in spans.values()))


async def replay_dead_letters(settings: KafkaSettings, topic: str) -> int:
    """Publish the waiting dead letters to their topic again; returns how many.

    Those that die again meanwhile wait for the next replay.

    Raises:
        OffersError: if the topic has no dead letters at all.
        DeliveryError: if Kafka did not take a message; it and those after it still wait.
    """
    topic = _checked(topic)
    publisher = Publisher(settings, "dlq-replay")
    await publisher.start()
    try:
        async with _consumer(settings) as consumer:
            spans = await _spans(consumer, settings, topic, replayed_too=False)
            count = 0
            async for records in _read(consumer, spans):
                await publisher.publish_all(_letter(record).original(topic) for record in records)
                await consumer.commit({at: min(await consumer.position(at), spans[at].end) for at in spans})
                count += len(records)
            return count
    finally:
        await publisher.stop()


def _checked(topic: str) -> str:
    name = topic.removesuffix(dead_letter_topic(""))
    if name not in CONSUMED:
        raise OffersError(f"{topic} has no dead letters; these topics may: {', '.join(CONSUMED)}")
    return name


@asynccontextmanager
async def _consumer(settings: KafkaSettings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        client_id="offers-dlq",
        group_id=settings.kafka_topic_prefix + GROUP,
        enable_auto_commit=False,
        fetch_max_wait_ms=settings.kafka_fetch_wait_ms_max,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def _spans(
    consumer: AIOKafkaConsumer, settings: KafkaSettings, topic: str, replayed_too: bool
) -> Mapping[TopicPartition, _Span]:
    """What is to be read of each partition, as of now; the consumer stands at the starts."""
    partitions = await _partitions(settings, settings.kafka_topic_prefix + dead_letter_topic(topic))
    consumer.assign(partitions)
    begins = await consumer.beginning_offsets(partitions)
    for at in partitions:
        consumer.seek(at, begins[at])
    ends = await _ends(consumer, partitions)
    spans: dict[TopicPartition, _Span] = {}
    for at in partitions:
        replayed = None if replayed_too else await consumer.committed(at)
        # Offsets past the end were committed for an earlier topic of this name.
        known = replayed is not None and begins[at] <= replayed <= ends[at]
        spans[at] = _Span(replayed if replayed is not None and known else begins[at], ends[at])
        consumer.seek(at, spans[at].start)
    return spans


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


async def _partitions(settings: KafkaSettings, name: str) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        if name not in await admin.list_topics():
            raise OffersError(f"the topic {name} does not exist; `offers topics` creates it")
        (described,) = await admin.describe_topics([name])
    finally:
        await admin.close()
    return sorted(TopicPartition(name, partition["partition"]) for partition in described["partitions"])


async def _read(consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, _Span]) -> AsyncIterator[list[KafkaRecord]]:
    """The records of the spans, at most CHUNK at a time.

    Raises:
        DeliveryError: if Kafka hands out nothing for a long while.
    """
    loop = asyncio.get_running_loop()
    heard_at = loop.time()
    while unread := [at for at, span in spans.items() if await consumer.position(at) < span.end]:
        found = await consumer.getmany(*unread, timeout_ms=500, max_records=CHUNK)
        if found:
            heard_at = loop.time()
            yield [record for at, records in found.items() for record in records if record.offset < spans[at].end]
        elif loop.time() - heard_at > SILENCE_S_MAX:
            raise DeliveryError(f"Kafka handed out nothing of {unread[0].topic} for {SILENCE_S_MAX:g} s")


def _letter(record: KafkaRecord) -> DeadLetter:
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )
