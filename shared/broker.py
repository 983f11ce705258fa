"""Kafka access: how to reach the cluster, and the publisher that produces in bulk.

FastStream owns consuming and the AsyncAPI documents. Producing goes through one aiokafka producer
because a batch answers hundreds of messages at once and dead letters must keep their headers' bytes.
"""

import asyncio
import random
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from shared.errors import ConfigurationError, DeliveryError
from shared.partitioning import partitions_of
from shared.reaching import start_client
from shared.settings import KafkaSettings
from shared.tls import Files, rotating_context

MESSAGE_BYTES_MAX: Final = 10 * 1024 * 1024
"""The largest message published. Dead letters are larger than the messages they keep, which may be as large as Kafka's
usual limit of 1 MiB, or larger where their sender compressed them."""

Headers = Sequence[tuple[str, bytes]]

OWN_BATCH_MIN = 8


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish; `topic` is without the settings' prefix unless `exact_topic`."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    exact_topic: bool = False


def _ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    if settings.kafka_security_protocol not in ("SSL", "SASL_SSL"):
        return None
    files = Files(settings.kafka_ssl_cafile, settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    return rotating_context(files, "OFFERS_KAFKA_SSL")


def _credentials(settings: KafkaSettings) -> tuple[str, str]:
    if settings.kafka_sasl_username is None or settings.kafka_sasl_password is None:
        raise ConfigurationError(
            f"OFFERS_KAFKA_SASL_USERNAME and OFFERS_KAFKA_SASL_PASSWORD: needed by {settings.kafka_security_protocol}"
        )
    return settings.kafka_sasl_username, settings.kafka_sasl_password.get_secret_value()


def client_options(settings: KafkaSettings) -> dict[str, Any]:
    """What every aiokafka client is given to reach the cluster and log in to it."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "ssl_context": _ssl_context(settings),
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        username, password = _credentials(settings)
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": username,
            "sasl_plain_password": password,
        }
    return options


def _security(settings: KafkaSettings) -> BaseSecurity | None:
    context = _ssl_context(settings)
    if not settings.kafka_security_protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context, use_ssl=True) if context else None
    username, password = _credentials(settings)
    mechanism = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    return mechanism[settings.kafka_sasl_mechanism](
        username=username, password=password, ssl_context=context, use_ssl=context is not None
    )


def broker_options(settings: KafkaSettings, service: str) -> dict[str, Any]:
    """What FastStream's broker is given to consume, and only to consume."""
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": f"offers-{service}",
        "security": _security(settings),
        "consumer_only": True,
        "allow_auto_create_topics": False,
        "graceful_timeout": 10.0,
        "logger": None,
    }


class Publisher:
    """Publishes many messages at once and reports whether all of them were taken."""

    def __init__(self, settings: KafkaSettings, service: str) -> None:
        self._prefix = settings.kafka_topic_prefix
        self._options: dict[str, Any] = client_options(settings) | {
            "client_id": f"offers-{service}",
            "acks": "all",
            "enable_idempotence": settings.kafka_idempotent_producer,
            "linger_ms": 0,
            "max_batch_size": 256 * 1024,
            "max_request_size": MESSAGE_BYTES_MAX,
        }
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect to the cluster.

        Raises:
            KafkaAway: no broker lets us in; names the setting to look at.
        """
        self._producer = AIOKafkaProducer(**self._options)
        try:
            await start_client(self._producer, self._options)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Deliver what is under way and disconnect."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def partition_counts(self) -> dict[str, int]:
        """How many partitions each topic of the cluster has, by its full name.

        Raises:
            DeliveryError: no broker answered.
        """
        assert self._producer is not None, "start() first"
        try:
            cluster = await self._producer.client.fetch_all_metadata()
        except KafkaError as error:
            raise DeliveryError(f"Kafka does not name its topics: {error!r}") from error
        return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}

    async def publish_all(self, messages: Iterable[Outgoing]) -> None:
        """Publish the messages and wait until the cluster has every one of them.

        Many of one partition go out as one batch, which costs a fraction of sending each by itself; a few share
        a batch with what others send at the same time. Those of one partition keep their order.

        Raises:
            DeliveryError: if any was not taken; others may have been.
        """
        assert self._producer is not None, "start() first"
        try:
            sent: list[Awaitable[Any]] = []
            for (topic, partition), alike in (await self._by_partition(messages)).items():
                sent += await _send(self._producer, topic, partition, alike)
            await asyncio.gather(*sent)
        except (KafkaError, ValueError) as error:
            raise DeliveryError(f"Kafka did not take a message: {error!r}") from error

    async def _by_partition(self, messages: Iterable[Outgoing]) -> dict[tuple[str, int], list[Outgoing]]:
        by_topic: defaultdict[str, list[Outgoing]] = defaultdict(list)
        for message in messages:
            by_topic[message.topic if message.exact_topic else self._prefix + message.topic].append(message)
        placed: defaultdict[tuple[str, int], list[Outgoing]] = defaultdict(list)
        for topic, alike in by_topic.items():
            assert self._producer is not None
            count = len(await self._producer.partitions_for(topic))
            for message, partition in zip(alike, _partitions(alike, count), strict=True):
                placed[topic, partition].append(message)
        return placed


def _partitions(messages: Sequence[Outgoing], count: int) -> list[int]:
    """The partition each message names, or its key leads to; one without either may go anywhere."""
    if all(message.partition is None and message.key is not None for message in messages):
        return partitions_of([message.key or b"" for message in messages], count)
    return [
        message.partition
        if message.partition is not None
        else random.randrange(count)
        if message.key is None
        else partitions_of([message.key], count)[0]
        for message in messages
    ]


async def _send(
    producer: AIOKafkaProducer, topic: str, partition: int, messages: Sequence[Outgoing]
) -> list[Awaitable[Any]]:
    """Hand the messages of one partition to the producer; each of what is returned ends with their delivery."""
    if len(messages) >= OWN_BATCH_MIN:
        return [await producer.send_batch(batch, topic, partition=partition) for batch in _batches(producer, messages)]
    return [
        await producer.send(
            topic, key=message.key, value=message.value, headers=list(message.headers), partition=partition
        )
        for message in messages
    ]


def _batches(producer: AIOKafkaProducer, messages: Sequence[Outgoing]) -> Iterator[Any]:
    """The messages in as few batches as hold them, in order. One too large for any has one to itself."""
    batch = producer.create_batch()
    for message in messages:
        fields = {"timestamp": None, "key": message.key, "value": message.value, "headers": list(message.headers)}
        if batch.append(**fields) is None:
            yield batch
            batch = producer.create_batch()
            batch.append(**fields)
    yield batch
