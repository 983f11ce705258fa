"""Wires the redemption service: the topics in and out, acknowledgement, limits, probes, and what it keeps in order."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Annotated

from pydantic import Field, TypeAdapter

from services.redemption.catalogue import Catalogue
from services.redemption.handler import SERVICE, RedemptionHandler
from services.redemption.periods import keep_periods
from services.redemption.requests import Request, read_request
from services.redemption.routing import ReplyRouter
from shared.batches import Batch, Received
from shared.broker import Outgoing, Publisher
from shared.cache import Cache
from shared.consuming import Consumer
from shared.database import Pool, create_pool
from shared.events.audit_events import AuditEvent
from shared.events.offers_changed import OfferChanged
from shared.events.redemption_replies import RedemptionReply
from shared.events.redemption_requests import RedemptionRequest
from shared.http.probes import Health, create_probes, kafka_probe, login_probe
from shared.http.server import run_until, serving
from shared.middlewares import middlewares
from shared.reading import read_json
from shared.redis_client import check_redis
from shared.service import background
from shared.settings import (
    BatchSettings,
    DatabaseSettings,
    HttpSettings,
    KafkaSettings,
    RedisSettings,
    TelemetrySettings,
    load_settings,
)
from shared.subscriptions import Subscriptions
from shared.topics import AUDIT_EVENTS, OFFERS_CHANGED, REDEMPTION_REPLIES, REDEMPTION_REQUESTS


class RedemptionSettings(
    DatabaseSettings, KafkaSettings, RedisSettings, BatchSettings, HttpSettings, TelemetrySettings
):
    """What the redemption service reads from the environment."""

    http_port: int = Field(default=8082, ge=0, le=65_535, description="0: any that is free")
    decision_retention_days: int = Field(
        default=90, ge=1, description="for so long at least a repeated request gets the same reply"
    )


def wire(
    settings: RedemptionSettings, pool: Pool, publisher: Publisher, catalogue: Catalogue | None = None
) -> Subscriptions:
    """The service's broker, ready to start."""
    broker = Subscriptions(settings, SERVICE, middlewares(settings, SERVICE))
    prefix = settings.kafka_topic_prefix
    catalogue = catalogue or Catalogue()
    requests: Consumer[Request] = Consumer(
        service=SERVICE,
        topic=REDEMPTION_REQUESTS,
        read=read_request,
        handle=RedemptionHandler(pool, ReplyRouter(publisher, prefix), prefix, catalogue),
        publisher=publisher,
        settings=settings,
        batching=settings,
    )

    async def forget(received: Sequence[Received[OfferChanged]]) -> Sequence[Outgoing]:
        await catalogue.forget({item.message.offer_id for item in received})
        return []

    changes: Consumer[OfferChanged] = Consumer(
        service=SERVICE,
        topic=OFFERS_CHANGED,
        read=read_json(TypeAdapter(OfferChanged)),
        handle=forget,
        publisher=publisher,
        settings=settings,
        batching=settings,
    )

    @broker.take(requests, REDEMPTION_REQUESTS)
    async def on_requests(
        batch: Annotated[Batch[RedemptionRequest], Field(title="RedemptionRequest")],
    ) -> None:
        await requests.consume(batch)

    @broker.take(changes, OFFERS_CHANGED)
    async def on_offers_changed(batch: Annotated[Batch[OfferChanged], Field(title="OfferChanged")]) -> None:
        await changes.consume(batch)

    broker.publisher(prefix + REDEMPTION_REPLIES, schema=RedemptionReply, title="RedemptionReplies")
    broker.publisher(prefix + AUDIT_EVENTS, schema=AuditEvent, title="AuditEvents")
    return broker


async def serve(stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Decide requests until told to stop, then finish the batches under way."""
    settings = load_settings(RedemptionSettings)
    await check_redis(settings)
    publisher = Publisher(settings, SERVICE)
    async with create_pool(settings, SERVICE, leaves_nothing=True) as pool, aclosing(Cache(settings)) as cache:
        await publisher.start()
        try:
            broker = wire(settings, pool, publisher, Catalogue(cache))
            probes = create_probes(Health(pool, kafka_probe(settings), broker, login=login_probe(settings)))
            async with (
                background(keep_periods(pool, settings.decision_retention_days)),
                serving(probes, settings) as running,
            ):
                try:
                    await broker.start()
                    ready()
                    await run_until(stop, running)
                finally:
                    await broker.stop()
        finally:
            await publisher.stop()
