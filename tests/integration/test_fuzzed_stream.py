"""A stream of fuzzed messages through a real broker: no partition stands still, and none is left without an answer.

FUZZED_STREAM_EXAMPLES sets how many streams are sent.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from deploy.bench.backlog import CommittedOffsets
from shared.broker import Headers, Outgoing, Publisher
from shared.database import Pool
from shared.settings import KafkaSettings
from shared.topics import REDEMPTION_REPLIES, REDEMPTION_REQUESTS, dead_letter_topic
from tests.properties import fuzz_strategies as fuzz
from tests.support.campaign import add_offer
from tests.support.requests import redeem
from tests.support.services import redemption_workers
from tests.support.topics import TopicReader, reading

EXAMPLES = int(os.environ.get("FUZZED_STREAM_EXAMPLES", "6"))
GROUP: Final = 8
"""A good request follows so many fuzzed messages."""
MARK: Final = "test.number"
COMMITTED_S_MAX: Final = 30.0
KAFKA_BYTES_MAX: Final = 1024 * 1024
"""What Kafka's clients and brokers take in one message unless told otherwise."""

Fuzzed = tuple[bytes | None, bytes | None, fuzz.Headers]
streams = st.lists(
    st.lists(st.tuples(fuzz.values, fuzz.keys, fuzz.headers), min_size=GROUP, max_size=GROUP), min_size=8, max_size=8
)


@dataclass(slots=True)
class Stream:
    """Sends numbered messages and reads what becomes of them: answers on two topics, or dead letters."""

    publisher: Publisher
    committed: CommittedOffsets
    readers: Sequence[TopicReader]
    reply_topic: bytes
    sent: int = 0

    async def send(self, value: bytes | None, key: bytes | None, headers: fuzz.Headers) -> int:
        """Send a message; its number is its first correlation id."""
        number = self.sent
        self.sent += 1
        routed = [
            (name, self.reply_topic if data == fuzz.REPLY_TOPIC.encode() else data)
            for name, data in (("correlation_id", b"%d" % number), *headers)
        ]
        if key is None and value is None:
            key = b""  # Kafka's client sends no message without both.
        await self.publisher.publish_all([Outgoing(REDEMPTION_REQUESTS, key, value, cast("Headers", routed))])
        return number

    async def consumed(self) -> None:
        """Wait until the offset of every message is committed."""
        async with asyncio.timeout(COMMITTED_S_MAX):
            while await self.committed.total() < self.sent:  # noqa: ASYNC110 - Kafka tells nobody
                await asyncio.sleep(0.05)

    async def answers(self) -> dict[int, list[dict[str, Any]]]:
        """What is published so far by the number of the message it answers; a dead letter is empty."""
        found: dict[int, list[dict[str, Any]]] = {}
        for reader in self.readers:
            for record in await reader.read_quiet(0.2):
                headers = dict(reversed(record.headers))
                answer = {} if "dlq.topic" in headers else orjson.loads(record.value)
                found.setdefault(int(headers["correlation_id"]), []).append(answer)
        return found


@pytest.fixture
async def stream(pool: Pool, kafka: KafkaSettings, publisher: Publisher) -> AsyncIterator[Stream]:
    """A stream to a redemption service whose log is not written."""
    await add_offer(pool, id=fuzz.OFFER, code=fuzz.CODE)
    there = "segments.changed"
    with capture_logs():
        async with (
            redemption_workers(pool, kafka, publisher),
            CommittedOffsets(kafka, "redemption", REDEMPTION_REQUESTS) as committed,
            reading(kafka, REDEMPTION_REPLIES) as replies,
            reading(kafka, there) as elsewhere,
            reading(kafka, dead_letter_topic(REDEMPTION_REQUESTS)) as letters,
        ):
            reply_topic = (kafka.kafka_topic_prefix + there).encode()
            yield Stream(publisher, committed, [replies, elsewhere, letters], reply_topic)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.generate],  # A partition that stands still would fail every smaller stream after it as well.
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(groups=streams)
async def test_all_offsets_are_committed_and_each_message_answered_or_dead(
    stream: Stream, groups: list[list[Fuzzed]]
) -> None:
    good = []
    for group in groups:
        for value, key, headers in group:
            await stream.send(value, key, headers)
        request = redeem(fuzz.OFFER)
        good.append((await stream.send(orjson.dumps(request), b"good", ()), request["request_id"]))
    await stream.consumed()
    answers = await stream.answers()
    assert answers.keys() == set(range(stream.sent))
    for number, request_id in good:
        (reply,) = answers[number]
        assert (reply["request_id"], reply["status"], reply["price_paid"]) == (request_id, "accepted", "90.00")


@pytest.mark.parametrize("overhead", [100, 400])
async def test_a_message_as_large_as_kafka_takes_does_not_hold_up_its_partition(stream: Stream, overhead: int) -> None:
    """With what is said about it, its dead letter is larger than that."""
    largest = await stream.send(b"x" * (KAFKA_BYTES_MAX - overhead), b"key", ())
    after = await stream.send(orjson.dumps(redeem(fuzz.OFFER)), b"key", ())
    await stream.consumed()
    answers = await stream.answers()
    assert answers[largest] == [{}]
    assert [reply["status"] for reply in answers[after]] == ["accepted"]
