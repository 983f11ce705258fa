"""Dead letters for the tests of looking at them and sending them again."""

import pytest
from aiokafka import ConsumerRecord

from shared.batches import dead_letter
from shared.broker import Headers, Publisher
from shared.settings import KafkaSettings
from shared.topics import TOPUPS
from tests.support.dead_letters import Bury


@pytest.fixture
def bury(kafka: KafkaSettings, publisher: Publisher) -> Bury:
    """Puts messages of `topups` into its dead-letter topic, as the segmenter would."""

    async def bury_(
        *values: bytes | None,
        key: bytes | None = b"user",
        headers: Headers = (),
        error: str = "amount: [red] is wrong",
        service: str = "segmenter",
    ) -> None:
        topic = kafka.kafka_topic_prefix + TOPUPS
        records = [
            ConsumerRecord(topic, 2, 70 + place, 0, 0, key, value, None, 0, 0, tuple(headers))
            for place, value in enumerate(values)
        ]
        await publisher.publish_all(dead_letter(record, error, service, kafka.kafka_topic_prefix) for record in records)

    return bury_
