"""Sends requests as checkouts do, and reads their replies beside any client, without a consumer group."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.bench.backlog import Stalled
from deploy.bench.pacing import EVENTS_PER_S, Latencies, latencies, send_paced
from shared.batches import KafkaRecord
from shared.broker import Outgoing, Publisher, client_options
from shared.client.redemption import request_message
from shared.events.redemption_requests import RedeemRequest
from shared.settings import KafkaSettings
from shared.topics import REDEMPTION_REPLIES

SILENCE_S_MAX: Final = 15.0
READ_WAIT_MS: Final = 1_000


def messages(kafka: KafkaSettings, requests: Sequence[RedeemRequest], reply_partitions: int) -> list[Outgoing]:
    """The requests as checkouts send them that are answered on so many partitions, one after the other."""
    topic = kafka.kafka_topic_prefix + REDEMPTION_REPLIES
    return [
        request_message(request, request.request_id.hex.encode(), topic, place % reply_partitions)
        for place, request in enumerate(requests)
    ]


async def count_accepted(kafka: KafkaSettings, requests: Sequence[RedeemRequest]) -> int:
    """How many of these requests have an accepted reply in the reply topic; a repeated reply counts once."""
    missing = {request.request_id.hex.encode() for request in requests}
    accepted = 0
    async with _reply_consumer(kafka, range(kafka.kafka_partitions)) as consumer:
        heard_at = time.monotonic()
        while missing and time.monotonic() - heard_at < SILENCE_S_MAX:
            for records in (await consumer.getmany(timeout_ms=READ_WAIT_MS)).values():
                heard_at = time.monotonic()
                for record in records:
                    correlation_id = _correlation_id(record)
                    if correlation_id in missing:
                        missing.remove(correlation_id)
                        accepted += _is_accepted(record)
    return accepted


async def reply_latencies(kafka: KafkaSettings, requests: Sequence[RedeemRequest], warm_up: int) -> Latencies:
    """Send the requests at a steady pace, see each one's reply arrive; the first `warm_up` don't count.

    Raises:
        Stalled: a reply does not arrive.
    """
    outgoing = messages(kafka, requests, reply_partitions=1)
    due: dict[bytes, float] = {}
    publisher = Publisher(kafka, "bench")
    await publisher.start()
    try:
        async with _reply_consumer(kafka, [0]) as consumer:
            await consumer.seek_to_end()
            await consumer.position(*consumer.assignment())

            async def send(place: int, at: float) -> None:
                due[requests[place].request_id.hex.encode()] = at
                await publisher.publish_all([outgoing[place]])

            watching = asyncio.create_task(_seen(consumer, due, len(requests)))
            try:
                await send_paced(len(requests), EVENTS_PER_S, send)
                seen = await watching
            finally:
                watching.cancel()
    finally:
        await publisher.stop()
    measured = list(due)[warm_up:]
    return latencies([due[each] for each in measured], [seen[each] for each in measured])


async def _seen(consumer: AIOKafkaConsumer, due: Mapping[bytes, float], count: int) -> Mapping[bytes, float]:
    """When the first reply to each of `count` requests was read."""
    seen: dict[bytes, float] = {}
    heard_at = time.perf_counter()
    while len(seen) < count:
        found = await consumer.getmany(timeout_ms=READ_WAIT_MS)
        now = time.perf_counter()
        for records in found.values():
            for record in records:
                correlation_id = _correlation_id(record)
                if correlation_id in due:
                    heard_at = now
                    seen.setdefault(correlation_id, now)
        if now - heard_at > SILENCE_S_MAX:
            raise Stalled(f"{count - len(seen):,} replies are not there after {SILENCE_S_MAX:g} s without any")
    return seen


@asynccontextmanager
async def _reply_consumer(kafka: KafkaSettings, partitions: Sequence[int]) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of these partitions of the reply topic, with the settings of a checkout's client."""
    consumer = AIOKafkaConsumer(
        **client_options(kafka),
        client_id="offers-bench",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=kafka.kafka_fetch_wait_ms_max,
    )
    await consumer.start()
    try:
        name = kafka.kafka_topic_prefix + REDEMPTION_REPLIES
        consumer.assign([TopicPartition(name, number) for number in partitions])
        yield consumer
    finally:
        await consumer.stop()


def _correlation_id(record: KafkaRecord) -> bytes:
    return next((bytes(value) for name, value in record.headers if name == "correlation_id"), b"")


def _is_accepted(record: KafkaRecord) -> bool:
    with contextlib.suppress(orjson.JSONDecodeError):
        return bool(orjson.loads(record.value or b"null")["status"] == "accepted")
    return False
