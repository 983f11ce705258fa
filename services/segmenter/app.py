"""Wires the segmenter: three topics in, memberships and their changes out, rebuilds, lapses and probes beside."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import Field, TypeAdapter

from services.segmenter.evaluation import Evaluator
from services.segmenter.handler import SERVICE, SegmenterHandler
from services.segmenter.lapse import LapseTimer, Postponed
from services.segmenter.rebuild import Rebuilder
from shared.batches import Batch
from shared.broker import Publisher
from shared.consuming import Consumer, Handler
from shared.database import Pool, create_pool
from shared.events.audit_events import AuditEvent
from shared.events.offers_changed import OfferChanged
from shared.events.segments_changed import SegmentChanged
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.http.probes import Health, create_probes, kafka_probe, login_probe
from shared.http.server import run_until, serving
from shared.middlewares import middlewares
from shared.outbox import OutboxRelay
from shared.reading import read_json
from shared.service import background
from shared.settings import (
    BatchSettings,
    DatabaseSettings,
    HttpSettings,
    KafkaSettings,
    TelemetrySettings,
    load_settings,
)
from shared.subscriptions import Subscriptions
from shared.topics import AUDIT_EVENTS, OFFERS_CHANGED, SEGMENTS_CHANGED, TOPUPS, USERS

M = TypeVar("M")

TRANSACTIONS: Final = 2
"""While PostgreSQL works on one batch, another is evaluated: users' locks keep them apart, and events may come in any
order."""


class SegmenterSettings(DatabaseSettings, KafkaSettings, BatchSettings, HttpSettings, TelemetrySettings):
    """What the segmenter reads from the environment."""

    http_port: int = Field(default=8083, ge=0, le=65_535, description="0: any that is free")


def wire(settings: SegmenterSettings, handler: SegmenterHandler, publisher: Publisher) -> Subscriptions:
    """The service's broker, ready to start."""
    broker = Subscriptions(settings, SERVICE, middlewares(settings, SERVICE))

    def consumer(topic: str, message: type[M], handle: Handler[M]) -> Consumer[M]:
        return Consumer(
            service=SERVICE,
            topic=topic,
            read=read_json(TypeAdapter(message)),
            handle=handle,
            publisher=publisher,
            settings=settings,
            batching=settings,
            transactions=TRANSACTIONS,
        )

    topups = consumer(TOPUPS, TopupEvent, handler.topups)
    users = consumer(USERS, UserEvent, handler.users)
    changes = consumer(OFFERS_CHANGED, OfferChanged, handler.offers_changed)

    @broker.take(topups, TOPUPS)
    async def on_topups(batch: Annotated[Batch[TopupEvent], Field(title="TopupEvent")]) -> None:
        await topups.consume(batch)

    @broker.take(users, USERS)
    async def on_users(batch: Annotated[Batch[UserEvent], Field(title="UserEvent")]) -> None:
        await users.consume(batch)

    @broker.take(changes, OFFERS_CHANGED)
    async def on_offers_changed(batch: Annotated[Batch[OfferChanged], Field(title="OfferChanged")]) -> None:
        await changes.consume(batch)

    prefix = settings.kafka_topic_prefix
    broker.publisher(prefix + SEGMENTS_CHANGED, schema=SegmentChanged, title="SegmentsChanged")
    broker.publisher(prefix + AUDIT_EVENTS, schema=AuditEvent, title="AuditEvents")
    return broker


@dataclass(frozen=True, slots=True)
class Segmenter:
    """The parts that do the work, wired together."""

    handler: SegmenterHandler
    rebuilder: Rebuilder
    timer: LapseTimer
    relay: OutboxRelay

    def background(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What runs beside the consumers, until cancelled."""
        return self.relay.run(), self.rebuilder.run(), self.timer.run()


def create_segmenter(pool: Pool, publisher: Publisher) -> Segmenter:
    """The parts of a worker on these servers."""
    evaluator, postponed = Evaluator(), Postponed()
    relay = OutboxRelay(pool, publisher, [SEGMENTS_CHANGED, AUDIT_EVENTS])
    rebuilder = Rebuilder(pool, evaluator, relay)
    return Segmenter(
        handler=SegmenterHandler(pool, evaluator, postponed, rebuilder, relay),
        rebuilder=rebuilder,
        timer=LapseTimer(pool, evaluator, postponed, relay),
        relay=relay,
    )


async def serve(stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Keep memberships current until told to stop, then finish the batches under way."""
    settings = load_settings(SegmenterSettings)
    publisher = Publisher(settings, SERVICE)
    async with create_pool(settings, SERVICE) as pool:
        await publisher.start()
        try:
            segmenter = create_segmenter(pool, publisher)
            broker = wire(settings, segmenter.handler, publisher)
            health = Health(pool, kafka_probe(settings), broker, segmenter.relay, login_probe(settings))
            async with background(*segmenter.background()), serving(create_probes(health), settings) as running:
                try:
                    await broker.start()
                    ready()
                    await run_until(stop, running)
                finally:
                    await broker.stop()
            await segmenter.relay.relay()
        finally:
            await publisher.stop()
