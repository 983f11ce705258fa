"""The least a reply over Kafka takes: a worker that sends each request back unread, where its reply would go.

Run as a program it consumes without a group and commits nothing; its clients are set as the services' are.
"""

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.batches import KafkaRecord
from shared.broker import Outgoing, Publisher, client_options
from shared.service import background, run_service
from shared.settings import BatchSettings, KafkaSettings, load_settings
from shared.subscriptions import WAIT_MS
from shared.topics import REDEMPTION_REQUESTS

SERVICE = "echo"


class EchoSettings(KafkaSettings, BatchSettings):
    """What the echo reads from the environment."""


def echoed(record: KafkaRecord) -> Outgoing:
    """The message on its way back."""
    headers = dict(record.headers)
    return Outgoing(
        headers["reply_to"].decode(),
        record.key,
        record.value,
        [("correlation_id", headers["correlation_id"])],
        int(headers["reply_partition"]),
        exact_topic=True,
    )


async def echo(consumer: AIOKafkaConsumer, publisher: Publisher, settings: EchoSettings) -> None:
    """Send back whatever comes, for ever."""
    while True:
        found = await consumer.getmany(timeout_ms=WAIT_MS, max_records=settings.batch_records_max)
        await publisher.publish_all(echoed(record) for records in found.values() for record in records)


async def serve(stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Echo until told to stop."""
    settings = load_settings(EchoSettings)
    topic = settings.kafka_topic_prefix + REDEMPTION_REQUESTS
    publisher = Publisher(settings, SERVICE)
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        client_id=f"offers-{SERVICE}",
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=settings.kafka_fetch_wait_ms_max,
    )
    await publisher.start()
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(settings.kafka_partitions)])
        async with background(echo(consumer, publisher, settings)):
            ready()
            await stop.wait()
    finally:
        await consumer.stop()
        await publisher.stop()


if __name__ == "__main__":
    run_service(SERVICE, serve)
