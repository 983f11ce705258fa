"""The topics by name, and how they are created."""

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from shared.broker import MESSAGE_BYTES_MAX, client_options
from shared.errors import DeliveryError
from shared.reaching import start_client
from shared.settings import KafkaSettings

TOPUPS: Final = "topups"
USERS: Final = "users"
REDEMPTION_REQUESTS: Final = "redemption.requests"
REDEMPTION_REPLIES: Final = "redemption.replies"
OFFERS_CHANGED: Final = "offers.changed"
SEGMENTS_CHANGED: Final = "segments.changed"
AUDIT_EVENTS: Final = "audit.events"
DEAD_LETTER_REPLAYS: Final = "dlq.replays"
"""Which dead letters were sent again; to be kept at least as long as they are."""

VISIBLE_S_MAX: Final = 30.0
LOOK_S: Final = 0.05

CONSUMED: Final = (TOPUPS, USERS, REDEMPTION_REQUESTS, OFFERS_CHANGED, AUDIT_EVENTS)


def dead_letter_topic(topic: str) -> str:
    """Where messages of `topic` go that can't be read."""
    return f"{topic}.dlq"


def consumer_group(service: str, topic: str, prefix: str = "") -> str:
    """The group in which a service's workers share a topic."""
    return f"{prefix}offers.{service}.{topic}"


ALL: Final = (
    *CONSUMED,
    REDEMPTION_REPLIES,
    SEGMENTS_CHANGED,
    *(dead_letter_topic(topic) for topic in CONSUMED),
    DEAD_LETTER_REPLAYS,
)


async def create_topics(settings: KafkaSettings, names: Sequence[str] = ALL) -> list[str]:
    """Create the topics that don't exist yet, and return their (prefixed) names.

    Raises:
        DeliveryError: if the cluster refuses one of them, or doesn't let us in.
    """
    options = client_options(settings)
    admin = AIOKafkaAdminClient(**options)
    try:
        await start_client(admin, options)
        wanted = [settings.kafka_topic_prefix + name for name in names]
        existing = set(await admin.list_topics())
        missing = [_new_topic(name, settings) for name in wanted if name not in existing]
        if not missing:
            return []
        response = await admin.create_topics(missing)
        for name, code, *_ in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise DeliveryError(f"topic {name} could not be created: {error.__name__}")
        await _until_visible(admin, {topic.name for topic in missing})
        return [topic.name for topic in missing]
    finally:
        await admin.close()


def _new_topic(name: str, settings: KafkaSettings) -> NewTopic:
    """A dead letter that its topic does not take would hold its partition up for ever, so those take large ones."""
    dead_letters = name.endswith(dead_letter_topic(""))
    configs = {"max.message.bytes": str(MESSAGE_BYTES_MAX)} if dead_letters else {}
    return NewTopic(name, settings.kafka_partitions, settings.kafka_replication_factor, topic_configs=configs)


async def _until_visible(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """A cluster takes a moment until every client is told of a new topic."""
    async with asyncio.timeout(VISIBLE_S_MAX):
        while not names <= set(await admin.list_topics()):  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(LOOK_S)
