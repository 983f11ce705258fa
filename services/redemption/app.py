"""Wires the redemption service: the topics in and out, acknowledgement, limits."""

import asyncio
from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from services.redemption.handler import SERVICE, RedemptionHandler
from services.redemption.requests import Request, read_request
from services.redemption.routing import ReplyRouter
from shared.batches import Batch
from shared.broker import Publisher
from shared.consuming import Consumer, Subscriptions
from shared.database import Pool, create_pool
from shared.events.audit_events import AuditEvent
from shared.events.redemption_replies import RedemptionReply
from shared.events.redemption_requests import RedemptionRequest
from shared.settings import BatchSettings, DatabaseSettings, KafkaSettings, load_settings
from shared.topics import AUDIT_EVENTS, REDEMPTION_REPLIES, REDEMPTION_REQUESTS


class RedemptionSettings(DatabaseSettings, KafkaSettings, BatchSettings):
    """What the redemption service reads from the environment."""


def wire(settings: RedemptionSettings, pool: Pool, publisher: Publisher) -> Subscriptions:
    """The service's broker, ready to start."""
    broker = Subscriptions(settings, SERVICE)
    prefix = settings.kafka_topic_prefix
    consumer: Consumer[Request] = Consumer(
        service=SERVICE,
        topic=REDEMPTION_REQUESTS,
        read=read_request,
        handle=RedemptionHandler(pool, ReplyRouter(publisher), prefix),
        publisher=publisher,
        settings=settings,
        batching=settings,
    )

    @broker.take(consumer, REDEMPTION_REQUESTS)
    async def on_requests(
        batch: Annotated[Batch[RedemptionRequest], Field(title="RedemptionRequest")],
    ) -> None:
        await consumer.consume(batch)

    broker.publisher(prefix + REDEMPTION_REPLIES, schema=RedemptionReply, title="RedemptionReplies")
    broker.publisher(prefix + AUDIT_EVENTS, schema=AuditEvent, title="AuditEvents")
    return broker


async def serve(stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Decide requests until told to stop, then finish the batch under way."""
    settings = load_settings(RedemptionSettings)
    publisher = Publisher(settings, SERVICE)
    async with create_pool(settings, SERVICE) as pool:
        await publisher.start()
        try:
            broker = wire(settings, pool, publisher)
            await broker.start()
            ready()
            await stop.wait()
            await broker.stop()
        finally:
            await publisher.stop()
