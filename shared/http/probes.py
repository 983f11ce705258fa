"""Whether the process lives, and whether what it needs answers: for supervisors, load balancers and Prometheus."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

import asyncpg
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared import metrics
from shared.broker import client_options
from shared.database import Pool
from shared.http.problems import documented, install_problems, unavailable
from shared.outbox import OutboxRelay
from shared.settings import KafkaSettings
from shared.subscriptions import Subscriptions

PROBE_TIMEOUT_S = 2.0
PING = "SELECT 1"
_DATABASE_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""TimeoutError is an OSError."""

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


@dataclass(frozen=True, slots=True)
class Health:
    """What a process needs and does, as far as probes tell of it. Not every service consumes or has an outbox."""

    pool: Pool
    kafka: Probe
    consumers: Subscriptions | None = None
    relay: OutboxRelay | None = None

    async def missing(self) -> list[str]:
        """What doesn't answer, in words."""
        return [problem for problem in (await self._check()).values() if problem]

    async def _check(self) -> dict[str, str | None]:
        """What is wrong with each part, None where nothing is; its metric is set on the way."""
        found = dict(zip(("database", "broker"), await asyncio.gather(self._database(), self._broker()), strict=True))
        if self.consumers is not None:
            found["consumers"] = self._unassigned(self.consumers)
        for part, problem in found.items():
            metrics.READY.labels(part).set(0 if problem else 1)
        return found

    async def measure(self) -> None:
        """Bring the metrics of levels up to date. What can't be told now stays as it was."""
        metrics.POOL_CONNECTIONS.labels("open").set(self.pool.get_size())
        metrics.POOL_CONNECTIONS.labels("in_use").set(self.pool.get_size() - self.pool.get_idle_size())
        metrics.POOL_CONNECTIONS.labels("max").set(self.pool.get_max_size())
        found = await self._check()
        if self.consumers is not None and not found["broker"]:
            await self.consumers.measure_lag()
        if self.relay is not None and not found["database"]:
            await self._backlog(self.relay)

    async def _database(self) -> str | None:
        try:
            await self._ping()
        except _DATABASE_AWAY as error:
            return f"the database doesn't answer: {type(error).__name__}"
        return None

    async def _ping(self) -> None:
        """A server that hangs would also hold up the return of a connection to the pool, unless that is cut."""
        connection = await self.pool.acquire(timeout=PROBE_TIMEOUT_S)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await connection.fetchval(PING)
        except BaseException:
            connection.terminate()
            raise
        finally:
            await self.pool.release(connection)

    async def _broker(self) -> str | None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self.kafka()
        except (OSError, KafkaError) as error:
            return f"Kafka doesn't answer: {type(error).__name__}"
        return None

    @staticmethod
    def _unassigned(consumers: Subscriptions) -> str | None:
        topics = consumers.unassigned()
        return f"no partitions are assigned yet of {', '.join(topics)}" if topics else None

    @staticmethod
    async def _backlog(relay: OutboxRelay) -> None:
        with contextlib.suppress(*_DATABASE_AWAY):
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await relay.measure_backlog()


def probe_routes(health: Health) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`, open to everyone who reaches the port."""
    routes = APIRouter(tags=["probes"])

    @routes.get("/healthz", operation_id="healthz")
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @routes.get("/readyz", responses=documented(HTTPStatus.SERVICE_UNAVAILABLE), operation_id="readyz")
    async def readyz() -> dict[str, str]:
        """The database and Kafka answer, and what consumes has its partitions; names what is missing."""
        missing = await health.missing()
        if missing:
            raise unavailable("; ".join(missing))
        return {"status": "ready"}

    @routes.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)
    async def metrics_text() -> Response:
        """The process's metrics, as Prometheus reads them."""
        await health.measure()
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes


def create_probes(health: Health) -> FastAPI:
    """The HTTP application of a service that has no other."""
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    install_problems(api)
    api.include_router(probe_routes(health))
    return api
