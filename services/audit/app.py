"""Wires the audit service: the topic in, acknowledgement, limits, and the HTTP API beside it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from services.audit.api import create_api
from services.audit.handler import SERVICE, AuditHandler
from shared.batches import Batch
from shared.broker import Publisher
from shared.consuming import Consumer
from shared.database import Pool, create_pool
from shared.events.audit_events import AuditEvent
from shared.http.probes import kafka_probe, login_probe
from shared.http.problems import with_problem_media_type
from shared.http.server import run_until, serving
from shared.middlewares import middlewares
from shared.reading import read_json
from shared.redis_client import check_redis
from shared.sessions import Sessions, connect_redis
from shared.settings import (
    REDIS_URL,
    BatchSettings,
    DatabaseSettings,
    HttpSettings,
    KafkaSettings,
    RedisSettings,
    SessionSettings,
    TelemetrySettings,
    load_settings,
)
from shared.subscriptions import Subscriptions
from shared.topics import AUDIT_EVENTS

TRANSACTIONS: Final = 2
"""While PostgreSQL stores one batch, another is chained; of two batches of one chain the second waits."""


class AuditBatchSettings(BatchSettings):
    """How many events are stored at once."""

    batch_records_max: int = Field(
        default=2_000, ge=1, le=10_000, description="messages in one transaction, at most; nobody waits for audit"
    )


class AuditSettings(
    DatabaseSettings, KafkaSettings, AuditBatchSettings, HttpSettings, TelemetrySettings, SessionSettings
):
    """What the audit service reads from the environment."""

    redis_url: str | None = Field(
        default=None, pattern=REDIS_URL, description="where logins to the admin page are; without it: tokens only"
    )


def wire(settings: AuditSettings, pool: Pool, publisher: Publisher) -> Subscriptions:
    """The service's broker, ready to start."""
    broker = Subscriptions(settings, SERVICE, middlewares(settings, SERVICE))
    consumer: Consumer[AuditEvent] = Consumer(
        service=SERVICE,
        topic=AUDIT_EVENTS,
        read=read_json(TypeAdapter(AuditEvent)),
        handle=AuditHandler(pool),
        publisher=publisher,
        settings=settings,
        batching=settings,
        transactions=TRANSACTIONS,
    )

    @broker.take(consumer, AUDIT_EVENTS)
    async def on_audit_events(batch: Annotated[Batch[AuditEvent], Field(title="AuditEvent")]) -> None:
        await consumer.consume(batch)

    return broker


def openapi() -> dict[str, Any]:
    """The OpenAPI document of the HTTP API; needs a running event loop, but no server."""
    nowhere = AuditSettings(database_url="postgresql://localhost", kafka_bootstrap_servers="localhost:9092")
    return with_problem_media_type(create_api(create_pool(nowhere, SERVICE), kafka_probe(nowhere)).openapi())


async def serve(stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Take events in and answer questions about them until told to stop, then finish the batch under way."""
    settings = load_settings(AuditSettings)
    publisher = Publisher(settings, SERVICE)
    async with create_pool(settings, SERVICE) as pool:
        await publisher.start()
        broker = wire(settings, pool, publisher)
        try:
            async with _logins(settings) as sessions:
                readings_max = max(1, settings.database_pool_size_max // 3)
                api = create_api(pool, kafka_probe(settings), readings_max, broker, sessions, login_probe(settings))
                async with serving(api, settings) as running:
                    try:
                        await broker.start()
                        ready()
                        await run_until(stop, running)
                    finally:
                        await broker.stop()
        finally:
            await publisher.stop()


@asynccontextmanager
async def _logins(settings: AuditSettings) -> AsyncGenerator[Sessions | None]:
    if settings.redis_url is None:
        yield None
        return
    redis = RedisSettings(redis_url=settings.redis_url)
    await check_redis(redis)
    async with aclosing(Sessions(connect_redis(redis), settings)) as sessions:
        yield sessions
