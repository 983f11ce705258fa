"""Whether the process lives, and whether what it needs answers: for supervisors and load balancers."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import asyncpg
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared.broker import client_options
from shared.database import Pool
from shared.http.problems import documented, unavailable
from shared.settings import KafkaSettings

PROBE_TIMEOUT_S = 2.0
PING = "SELECT 1"

Probe = Callable[[], Awaitable[None]]
"""Returns if something the service needs answers, and raises otherwise."""


def kafka_probe(settings: KafkaSettings) -> Probe:
    """Logs in to the cluster and asks for its brokers, over a connection of its own."""

    async def probe() -> None:
        client = AIOKafkaClient(**client_options(settings), client_id="offers-probe")
        try:
            await client.bootstrap()
        finally:
            await client.close()

    return probe


def probe_routes(pool: Pool, kafka: Probe) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`, open to everyone who reaches the port."""
    routes = APIRouter(tags=["probes"])

    @routes.get("/healthz", operation_id="healthz")
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @routes.get("/readyz", responses=documented(HTTPStatus.SERVICE_UNAVAILABLE), operation_id="readyz")
    async def readyz() -> dict[str, str]:
        """The database and Kafka answer."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await pool.fetchval(PING)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise unavailable(f"the database doesn't answer: {type(error).__name__}") from error
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await kafka()
        except (OSError, KafkaError) as error:
            raise unavailable(f"Kafka doesn't answer: {type(error).__name__}") from error
        return {"status": "ready"}

    @routes.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """The process's metrics, as Prometheus reads them."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes
