"""The FastStream broker every service consumes with: it waits for messages, and stops in order."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, cast

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream.kafka import KafkaBroker

from shared import metrics
from shared.broker import broker_options
from shared.consuming import Consumer
from shared.reaching import NOT_PERMITTED
from shared.settings import KafkaSettings
from shared.telemetry import get_logger

F = TypeVar("F", bound=Callable[..., Awaitable[None]])

WAIT_MS: Final = 500
"""How long a look for messages lasts. One that comes ends it at once."""
LAG_S_MAX: Final = 2.0
"""How long brokers may take to tell what is committed."""

LEAVE_S_MAX: Final = 10.0
"""How long leaving the groups may take. One that is being dealt anew answers only once that is done, several session
timeouts later if a member was killed meanwhile. Left without a word, it finds out by itself."""

RECENT: Final = 3
"""How many batches back the partitions are passed over at first: those read ahead, and those in transactions."""

log = get_logger(__name__)


log = get_logger(__name__)


class WaitingConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka has no types.
    """Comes back only with messages. FastStream would pause after a look without any, and a message wait meanwhile.

    Where more than enough messages wait, consecutive batches are of different partitions: what concerns one key
    is seldom in two of them, so that two transactions at once seldom wait for each other's locks.
    """

    def __init__(self, *topics: str, **options: Any) -> None:
        super().__init__(*topics, **options)
        self._recent: deque[Set[TopicPartition]] = deque(maxlen=RECENT)
        self.refused = False
        """Whether the broker, when last asked, would not let us read."""

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord[Any, Any]]]:
        """The next messages, at most `max_records`, as soon as there are some.

        Raises:
            ConsumerStoppedError: the consumer was stopped.
            KafkaError: NOT_PERMITTED among others; FastStream tries again after a while.
        """
        found: dict[TopicPartition, list[ConsumerRecord[Any, Any]]] = {}
        try:
            while not found:
                found = await self._look(partitions, max_records)
                self.refused = False
        except NOT_PERMITTED as error:
            if not self.refused:
                log.error("may not read", action="consumer.refused", error=str(error))
            self.refused = True
            raise
        self._recent.append(found.keys())
        return found

    async def _look(
        self, partitions: Sequence[TopicPartition], max_records: int | None
    ) -> dict[TopicPartition, list[ConsumerRecord[Any, Any]]]:
        found: dict[TopicPartition, list[ConsumerRecord[Any, Any]]] = {}
        others = self.assignment().difference(*self._recent)
        if others:
            found = await super().getmany(*others, timeout_ms=0, max_records=max_records)
        return found or await super().getmany(*partitions, timeout_ms=WAIT_MS, max_records=max_records)


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types.
    """Whether a consumer is in its group with the partitions it was given, which may be none."""

    def __init__(self) -> None:
        self.assigned = False

    async def on_partitions_assigned(self, assigned: Set[TopicPartition]) -> None:
        """The group gave it its partitions."""
        self.assigned = True

    async def on_partitions_revoked(self, revoked: Set[TopicPartition]) -> None:
        """The group is dealt anew."""
        self.assigned = False


@dataclass(frozen=True, slots=True)
class Taken:
    """One topic's consumer, FastStream's subscriber of it, and how it stands in its group."""

    topic: str
    consumer: Consumer[Any]
    subscriber: Any
    membership: Membership

    async def lag(self) -> dict[int, int]:
        """By partition assigned here, how many messages are not committed; of those of which the broker told."""
        reader: AIOKafkaConsumer | None = self.subscriber.consumer
        found: dict[int, int] = {}
        if reader is None:
            return found
        for partition in reader.assignment():
            end = reader.highwater(partition)
            if end is not None:
                committed = await reader.committed(partition)
                # Where nobody ever committed, what was not read yet is the least it can be.
                done = committed if committed is not None else await reader.position(partition)
                found[partition.partition] = max(0, end - done)
        return found


class Subscriptions(KafkaBroker):
    """A broker that consumes, and lets its consumers finish what they have taken in before it leaves their groups.

    It never produces and never creates topics.
    """

    def __init__(self, settings: KafkaSettings, service: str, middlewares: Sequence[Any] = ()) -> None:
        super().__init__(**broker_options(settings, service), middlewares=middlewares)
        self._settings = settings
        self._taken: list[Taken] = []

    def take(self, consumer: Consumer[Any], topic: str) -> Callable[[F], F]:
        """Subscribes the decorated function, which FastStream documents, to the consumer's topic."""
        membership = Membership()
        name = self._settings.kafka_topic_prefix + topic
        subscriber = self.subscriber(name, listener=membership, **consumer.subscription())
        self._taken.append(Taken(topic, consumer, subscriber, membership))
        return cast("Callable[[F], F]", subscriber)

    def unassigned(self) -> list[str]:
        """The topics whose consumer is not in its group at present."""
        return [taken.topic for taken in self._taken if not taken.membership.assigned]

    def refused(self) -> list[str]:
        """The topics we are not permitted to read."""
        return [taken.topic for taken in self._taken if getattr(taken.subscriber.consumer, "refused", False)]

    async def measure_lag(self) -> None:
        """Bring the lag's metric up to date; where the broker doesn't tell in time, it stays as it was."""
        with contextlib.suppress(TimeoutError, KafkaError, IllegalStateError):
            async with asyncio.timeout(LAG_S_MAX):
                lags = await asyncio.gather(*(taken.lag() for taken in self._taken))
                metrics.LAG.clear()
                for taken, lag in zip(self._taken, lags, strict=True):
                    for partition, messages in lag.items():
                        metrics.LAG.labels(taken.topic, partition).set(messages)

    async def start(self) -> None:
        """Join the groups."""
        await self.connect()
        config = self.config.broker_config
        options = cast("partial[AIOKafkaConsumer]", config.builder).keywords
        config.builder = partial(WaitingConsumer, **options)
        await super().start()

    async def stop(self, *error: Any) -> None:
        """Finish the batches under way, then leave the groups, in bounded time."""
        await asyncio.gather(*(taken.consumer.finish() for taken in self._taken))
        try:
            async with asyncio.timeout(LEAVE_S_MAX):
                await super().stop(*error)
        except TimeoutError:
            log.warning("left the groups without a word", action="consumers.leave_timeout")
