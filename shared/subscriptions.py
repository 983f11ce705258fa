"""The FastStream broker every service consumes with: it waits for messages, and stops in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Set
from functools import partial
from typing import Any, Final, TypeVar, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from faststream.kafka import KafkaBroker

from shared.broker import broker_options
from shared.consuming import Consumer
from shared.settings import KafkaSettings

F = TypeVar("F", bound=Callable[..., Awaitable[None]])

WAIT_MS: Final = 500
"""How long a look for messages lasts. One that comes ends it at once."""


RECENT: Final = 3
"""How many batches back the partitions are passed over at first: those read ahead, and those in transactions."""


class WaitingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types.
    """Comes back only with messages. FastStream would pause after a look without any, and a message wait meanwhile.

    Where more than enough messages wait, consecutive batches are of different partitions: what concerns one key
    is seldom in two of them, so that two transactions at once seldom wait for each other's locks.
    """

    def __init__(self, *topics: str, **options: Any) -> None:
        super().__init__(*topics, **options)
        self._recent: deque[Set[TopicPartition]] = deque(maxlen=RECENT)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord[Any, Any]]]:
        """The next messages, at most `max_records`, as soon as there are some.

        Raises:
            ConsumerStoppedError: the consumer was stopped.
        """
        found: dict[TopicPartition, list[ConsumerRecord[Any, Any]]] = {}
        while not found:
            others = self.assignment().difference(*self._recent)
            if others:
                found = await super().getmany(*others, timeout_ms=0, max_records=max_records)
            if not found:
                found = await super().getmany(*partitions, timeout_ms=WAIT_MS, max_records=max_records)
        self._recent.append(found.keys())
        return found


class Subscriptions(KafkaBroker):
    """A broker that consumes, and lets its consumers finish what they have taken in before it leaves their groups.

    It never produces and never creates topics.
    """

    def __init__(self, settings: KafkaSettings, service: str) -> None:
        super().__init__(**broker_options(settings, service))
        self._settings = settings
        self._taken: list[Consumer[Any]] = []

    def take(self, consumer: Consumer[Any], topic: str) -> Callable[[F], F]:
        """Subscribes the decorated function, which FastStream documents, to the consumer's topic."""
        self._taken.append(consumer)
        name = self._settings.kafka_topic_prefix + topic
        return cast("Callable[[F], F]", self.subscriber(name, **consumer.subscription()))

    async def start(self) -> None:
        """Join the groups."""
        await self.connect()
        config = self.config.broker_config
        options = cast("partial[AIOKafkaConsumer]", config.builder).keywords
        config.builder = partial(WaitingConsumer, **options)
        await super().start()

    async def stop(self, *error: Any) -> None:
        """Finish the batches under way, then leave the groups."""
        await asyncio.gather(*(consumer.finish() for consumer in self._taken))
        await super().stop(*error)
