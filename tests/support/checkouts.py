"""Checkouts that ask through Kafka, many at once, and ask again when no answer comes, whatever is down meanwhile."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from types import TracebackType
from typing import Any, Final, Self

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from shared.broker import Outgoing, client_options
from shared.settings import KafkaSettings
from shared.topics import REDEMPTION_REPLIES
from tests.support.redemption_rush import Request
from tests.support.requests import message

PATIENCE_S: Final = 4.0
ATTEMPTS: Final = 15
TIMEOUT_S: Final = 90.0

Reply = dict[str, Any]
FollowUp = Callable[[Request, Reply], Request | None]
"""What a checkout asks next, if anything, after a request and its reply."""


class Checkouts:
    """So many producers of their own, each with at most `window` requests unanswered: load that lasts through a fault.

    Half of the requests go to the partition of their key, half to any: exactness must not rest on keys.
    """

    def __init__(self, kafka: KafkaSettings, chance: random.Random, producers: int = 8, window: int = 16) -> None:
        self._chance = chance
        self._window = window
        self._partitions = kafka.kafka_partitions
        options = client_options(kafka) | {"acks": "all", "enable_idempotence": kafka.kafka_idempotent_producer}
        self._producers = [AIOKafkaProducer(**options) for _ in range(producers)]
        self._consumer = AIOKafkaConsumer(**client_options(kafka), fetch_max_wait_ms=20, auto_offset_reset="earliest")
        self._prefix = kafka.kafka_topic_prefix
        self._answered: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._answers: dict[str, Reply] = {}
        self._progress = asyncio.Condition()
        self.sent: Counter[str] = Counter()
        """How many times the cluster took each request, by its id."""
        self.ends: dict[TopicPartition, int] = {}
        """The offset after the last request of each partition."""

    async def __aenter__(self) -> Self:
        await asyncio.gather(self._consumer.start(), *(producer.start() for producer in self._producers))
        topic = self._prefix + REDEMPTION_REPLIES
        self._consumer.assign([TopicPartition(topic, partition) for partition in range(self._partitions)])
        await self._consumer.seek_to_beginning()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await asyncio.gather(self._consumer.stop(), *(producer.stop() for producer in self._producers))

    @asynccontextmanager
    async def asking(self, requests: Sequence[Request]) -> AsyncIterator[None]:
        """Ask while the block runs; it is left when everything has been answered."""
        asking = asyncio.create_task(self.ask(requests))
        try:
            yield
            await asking
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def ask(self, requests: Sequence[Request], follow_up: FollowUp = lambda request, reply: None) -> None:
        """Ask until every request has an answer, and so has what follows from the answer."""
        count = len(self._producers)
        async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as tasks:
            for place, producer in enumerate(self._producers):
                queue = iter(requests[place::count])
                for _ in range(self._window):
                    tasks.create_task(self._ask_in_turn(producer, queue, follow_up))

    async def until_answered(self, more: int) -> None:
        """Wait until so many more requests are answered."""
        wanted = len(self._answers) + more
        async with asyncio.timeout(TIMEOUT_S), self._progress:
            await self._progress.wait_for(lambda: len(self._answers) >= wanted)

    @property
    def waiting(self) -> int:
        """How many requests the cluster took and nobody answered."""
        return len(self.sent.keys() - self._answers.keys())

    async def _ask_in_turn(self, producer: AIOKafkaProducer, requests: Iterator[Request], follow_up: FollowUp) -> None:
        for request in requests:
            following = follow_up(request, await self._ask(producer, request))
            if following is not None:
                await self._ask(producer, following)

    async def _ask(self, producer: AIOKafkaProducer, request: Request) -> Reply:
        answered = self._answered[request["request_id"]]
        partition = self._chance.choice([None, self._chance.randrange(self._partitions)])
        for _ in range(ATTEMPTS):
            try:
                await self._send(producer, message(request), partition)
                async with asyncio.timeout(PATIENCE_S):
                    await answered.wait()
            except (KafkaError, TimeoutError):
                continue
            return self._answers[request["request_id"]]
        raise AssertionError(f"request {request['request_id']} was never answered")

    async def _send(self, producer: AIOKafkaProducer, outgoing: Outgoing, partition: int | None) -> None:
        stored = await producer.send_and_wait(
            self._prefix + outgoing.topic, key=outgoing.key, value=outgoing.value, partition=partition
        )
        self.sent[orjson.loads(outgoing.value or b"")["request_id"]] += 1
        self.ends[stored.topic_partition] = max(self.ends.get(stored.topic_partition, 0), stored.offset + 1)

    async def _read(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=100)
            async with self._progress:
                for record in chain.from_iterable(batches.values()):
                    reply = orjson.loads(record.value)
                    self._answers.setdefault(reply["request_id"], reply)
                    self._answered[reply["request_id"]].set()
                self._progress.notify_all()
