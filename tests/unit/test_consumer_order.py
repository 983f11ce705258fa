"""Batches overlap, but whatever fails, what is committed has been published, and what is not comes again."""

import asyncio
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from shared.batches import Received
from shared.broker import Outgoing, Publisher
from shared.consuming import Consumer
from shared.settings import BatchSettings, KafkaSettings

NOWHERE = KafkaSettings(kafka_bootstrap_servers="localhost:1")
PARTITION = TopicPartition("topic", 0)


class Held(Publisher):
    """Publishes when it is let to; fails for what is named in `failing`."""

    def __init__(self) -> None:
        super().__init__(NOWHERE, "test")
        self.let = asyncio.Event()
        self.failing: set[bytes] = set()
        self.published: list[bytes] = []

    async def publish_all(self, messages: Iterable[Outgoing]) -> None:
        values = [message.value or b"" for message in messages]
        await self.let.wait()
        if self.failing & set(values):
            raise OSError("no broker")
        self.published += values


class Partition:
    """A partition whose next messages are fetched from `position`, as aiokafka does."""

    def __init__(self, values: Sequence[bytes]) -> None:
        self.values = values
        self.position = 0
        self.committed = 0

    def fetch(self, count: int) -> SimpleNamespace:
        """A message of FastStream's with the next `count` records."""
        start, self.position = self.position, min(self.position + count, len(self.values))
        records = [
            ConsumerRecord("topic", 0, offset, 0, 0, None, self.values[offset], None, 0, 0, ())
            for offset in range(start, self.position)
        ]
        return SimpleNamespace(raw_message=records, consumer=self)

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.position = offset

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed = offsets[PARTITION]


class Bench:
    """A consumer of one partition, whose handler fails once for each message in `failing`."""

    def __init__(self, values: Sequence[bytes], transactions: int = 1) -> None:
        self.partition = Partition(values)
        self.publisher = Held()
        self.failing: set[bytes] = set()
        self.handled: list[bytes] = []
        self.gates: dict[bytes, asyncio.Event] = {}
        self.consumer: Consumer[bytes] = Consumer(
            service="test",
            topic="topic",
            read=lambda value: value,
            handle=self.handle,
            publisher=self.publisher,
            settings=NOWHERE,
            batching=BatchSettings(batch_records_max=1),
            transactions=transactions,
        )

    async def handle(self, received: Sequence[Received[bytes]]) -> Sequence[Outgoing]:
        for item in received:
            if item.message in self.gates:
                await self.gates[item.message].wait()
            self.handled.append(item.message)
            if item.message in self.failing:
                self.failing.discard(item.message)
                raise OSError("no database")
        return [Outgoing("replies", None, item.message) for item in received]

    async def deliver(self, count: int) -> None:
        """Have the next `count` messages fetched and taken in, one at a time."""
        decode: Any = self.consumer.subscription()["decoder"]
        for _ in range(count):
            await self.consumer.consume(await decode(self.partition.fetch(1)))

    async def until_handled(self, value: bytes) -> None:
        async with asyncio.timeout(5):
            while value not in self.handled:  # noqa: ASYNC110 - the loop turns until it is
                await asyncio.sleep(0)

    async def finish(self, delivering: asyncio.Task[None]) -> None:
        """Deliver whatever is left, as the broker would."""
        self.publisher.let.set()
        await delivering
        await self.consumer.settled()
        while self.partition.position < len(self.partition.values):
            await self.deliver(1)
            await self.consumer.settled()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.consuming.RETRY_PAUSE_S_MAX", 0.01)


async def test_a_batch_that_waits_to_be_published_survives_the_failure_of_the_next() -> None:
    bench = Bench([b"a", b"b", b"c"])
    bench.failing = {b"c"}
    delivering = asyncio.create_task(bench.deliver(3))
    await bench.until_handled(b"c")
    await bench.finish(delivering)
    assert bench.publisher.published == [b"a", b"b", b"c"]
    assert bench.handled == [b"a", b"b", b"c", b"c"]
    assert bench.partition.committed == 3


async def test_a_publication_that_fails_brings_back_its_batch_and_those_after_it_in_order() -> None:
    bench = Bench([b"a", b"b", b"c"])
    bench.publisher.failing = {b"a"}
    delivering = asyncio.create_task(bench.deliver(3))
    await bench.until_handled(b"b")
    bench.publisher.let.set()
    await delivering
    await bench.consumer.settled()
    assert (bench.publisher.published, bench.partition.committed, bench.partition.position) == ([], 0, 0)
    bench.publisher.failing.clear()
    await bench.finish(delivering)
    assert bench.publisher.published == [b"a", b"b", b"c"]
    assert bench.partition.committed == 3


@pytest.mark.parametrize("failing", [b"a", b"b", b"c", b"d"])
@pytest.mark.parametrize("transactions", [1, 2])
async def test_whichever_batch_fails_each_message_is_published_in_order_before_it_is_committed(
    failing: bytes, transactions: int
) -> None:
    bench = Bench([b"a", b"b", b"c", b"d"], transactions)
    bench.failing = {failing}
    if failing == b"d":  # So many are not taken in while none is published.
        bench.publisher.let.set()
    delivering = asyncio.create_task(bench.deliver(4))
    await bench.until_handled(failing)
    await bench.finish(delivering)
    assert list(dict.fromkeys(bench.publisher.published)) == [b"a", b"b", b"c", b"d"]
    assert bench.partition.committed == 4


async def test_of_two_transactions_the_one_that_ends_first_waits_for_the_other_to_be_published() -> None:
    bench = Bench([b"a", b"b"], transactions=2)
    bench.gates[b"a"] = asyncio.Event()
    bench.publisher.let.set()
    delivering = asyncio.create_task(bench.deliver(2))
    await bench.until_handled(b"b")
    assert (bench.publisher.published, bench.partition.committed) == ([], 0)
    bench.gates[b"a"].set()
    await bench.finish(delivering)
    assert bench.publisher.published == [b"a", b"b"]
    assert bench.partition.committed == 2
