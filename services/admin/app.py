"""Wires the admin service: the HTTP application, and the relay that publishes what its changes announce."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, closing
from functools import partial
from typing import Any, Final

from fastapi import FastAPI
from pydantic import Field

from services.admin.access import Access, AccessSettings
from services.admin.access_api import admin_user_routes, session_routes, token_routes
from services.admin.api import preview_routes, reading_routes, writing_routes
from services.admin.body_limit import BodyLimit
from services.admin.draft_api import draft_routes, version_routes
from services.admin.history_api import history_routes
from services.admin.insight.api import insight_routes
from services.admin.insight.census import Census
from services.admin.insight.counting import DecisionCounter
from services.admin.insight.store import load_figures
from services.admin.insight.watching import Watching
from services.admin.operators import operator_routes
from services.admin.pages import page_routes
from services.admin.pages.assets import asset_files
from services.admin.pages.rendering import Pages
from services.admin.reach import Reach
from services.admin.user_api import user_routes
from shared.broker import Publisher
from shared.database import Pool, create_pool
from shared.errors import DeliveryError
from shared.http.probes import Health, Probe, kafka_probe, login_probe, probe_routes
from shared.http.problems import install_problems, with_problem_media_type
from shared.http.secure_headers import SecuredApi
from shared.http.server import run_until, serving
from shared.outbox import OutboxRelay
from shared.redis_client import check_redis
from shared.service import background
from shared.settings import DatabaseSettings, HttpSettings, KafkaSettings, load_settings
from shared.telemetry import get_logger
from shared.topics import AUDIT_EVENTS, OFFERS_CHANGED

SERVICE: Final = "admin"
BODY_BYTES_MAX: Final = 16 * 1024 * 1024
"""Room for an offer with as many allowed users as may be."""

EXPORTS_MAX: Final = 2
"""Exports of the audit log at once; each keeps a connection for as long as it is read from."""

log = get_logger(__name__)


class AdminSettings(DatabaseSettings, KafkaSettings, HttpSettings, AccessSettings):
    """What the admin service reads from the environment."""

    reach_confirm_percent: int = Field(
        default=50, ge=0, le=100, description="publishing to more of the known users asks again"
    )


def create_relay(pool: Pool, publisher: Publisher) -> OutboxRelay:
    """Publishes what changes of offers leave in the outbox."""
    return OutboxRelay(pool, publisher, [OFFERS_CHANGED, AUDIT_EVENTS])


def create_watching(pool: Pool) -> Watching:
    """Tells who looks at offers when their figures change."""
    return Watching(partial(load_figures, pool))


def create_api(
    pool: Pool,
    relay: OutboxRelay,
    kafka: Probe,
    access: Access,
    previews_max: int = 2,
    reach_confirm_percent: int = 50,
    watching: Watching | None = None,
    login: Probe | None = None,
) -> FastAPI:
    """The service's HTTP application; at most `previews_max` previews, of two connections each, run at once."""
    api = SecuredApi(
        access.is_https,
        title="Offers admin",
        version="1.0.0",
        description="Offers, who may use them, and who could.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    api.add_middleware(BodyLimit, bytes_max=BODY_BYTES_MAX)
    reach = Reach(pool, previews_max)
    pages = Pages(pool, relay, access, reach, reach_confirm_percent)
    install_problems(api, pages.problem)
    api.mount("/assets", asset_files())
    for routes in (
        probe_routes(Health(pool, kafka, relay=relay, login=login)),
        preview_routes(access, reach),
        reading_routes(pool, access),
        writing_routes(pool, access, relay),
        draft_routes(pool, access, reach, relay, reach_confirm_percent),
        version_routes(pool, access),
        operator_routes(pool, access),
        insight_routes(pool, access, watching or create_watching(pool)),
        admin_user_routes(pool, access, relay),
        token_routes(pool, access, relay),
        session_routes(access, relay),
        user_routes(pool, access),
        history_routes(pool, access, EXPORTS_MAX),
        *page_routes(pages),
    ):
        api.include_router(routes)
    return api


def openapi() -> dict[str, Any]:
    """The OpenAPI document of the HTTP API; needs a running event loop, but no server."""
    nowhere = AdminSettings(
        database_url="postgresql://localhost",
        kafka_bootstrap_servers="localhost:9092",
        redis_url="redis://localhost",
    )
    pool = create_pool(nowhere, SERVICE)
    relay = create_relay(pool, Publisher(nowhere, SERVICE))
    return with_problem_media_type(create_api(pool, relay, kafka_probe(nowhere), Access(pool, nowhere)).openapi())


@asynccontextmanager
async def answering(
    settings: AdminSettings, pool: Pool, publisher: Publisher
) -> AsyncIterator[tuple[FastAPI, asyncio.Task[None]]]:
    """Answer HTTP while the block runs, with everything that goes on beside it.

    Gives the application and the server's task; leaving finishes the answers under way, and publishes what they
    announced.
    """
    relay = create_relay(pool, publisher)
    watching = create_watching(pool)
    previews_max = max(1, settings.database_pool_size_max // 3)
    async with aclosing(Access(pool, settings)) as access:
        kafka, login = kafka_probe(settings), login_probe(settings)
        percent = settings.reach_confirm_percent
        api = create_api(pool, relay, kafka, access, previews_max, percent, watching, login)
        loops = (relay.run(), DecisionCounter(pool).run(), Census(pool).run())
        async with background(*loops), serving(api, settings) as running:
            with closing(watching):  # Streams end first: the server waits for them.
                yield api, running
    await _relay_rest(relay)


async def serve(stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Answer until told to stop, then finish the answers under way and publish what they announced."""
    settings = load_settings(AdminSettings)
    await check_redis(settings)
    publisher = Publisher(settings, SERVICE)
    async with create_pool(settings, SERVICE) as pool:
        await publisher.start()
        try:
            async with answering(settings, pool, publisher) as (_, running):
                ready()
                await run_until(stop, running)
        finally:
            await publisher.stop()


async def _relay_rest(relay: OutboxRelay) -> None:
    try:
        await relay.relay()
    except DeliveryError as error:
        # Nothing is lost: the rows stay, and the next relay to run publishes them.
        log.warning("outbox not emptied", action="outbox.left", error=str(error))
