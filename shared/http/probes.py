"""Whether the process lives, and whether what it needs answers: for supervisors, load balancers and Prometheus."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final

import asyncpg
from aiokafka.errors import KafkaError
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared import metrics
from shared.broker import client_options
from shared.database import REFUSALS, Pool, connection_failure, log_in
from shared.http.problems import documented, install_problems, unavailable
from shared.outbox import OutboxRelay
from shared.reaching import KafkaAway, reach_kafka
from shared.settings import DatabaseSettings, KafkaSettings
from shared.subscriptions import Subscriptions
from shared.tls import tls_failure

PROBE_TIMEOUT_S = 2.0
LOGIN_EVERY_S: Final = 30.0
PING = "SELECT 1"
_DATABASE_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""TimeoutError is an OSError."""

Probe = Callable[[], Awaitable[None]]
"""Returns if something the service needs answers, and raises otherwise."""


def kafka_probe(settings: KafkaSettings) -> Probe:
    """Logs in to the cluster, over a connection of its own."""
    return partial(reach_kafka, client_options(settings))


def login_probe(settings: DatabaseSettings, every_s: float = LOGIN_EVERY_S) -> Probe:
    """Logs in to the database anew, now and then: the pool's connections outlive a certificate or a password.

    Raises whatever became of the latest login; a failed one is repeated each time.
    """
    due = 0.0

    async def probe() -> None:
        nonlocal due
        if time.monotonic() >= due:
            await log_in(settings, PROBE_TIMEOUT_S)
            due = time.monotonic() + every_s

    return probe


@dataclass(frozen=True, slots=True)
class Health:
    """What a process needs and does, as far as probes tell of it. Not every service consumes or has an outbox."""

    pool: Pool
    kafka: Probe
    consumers: Subscriptions | None = None
    relay: OutboxRelay | None = None
    login: Probe | None = None
    """To the database, anew."""

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
            return f"the database doesn't answer: {_reason(error)}"
        return await self._login(self.login) if self.login is not None else None

    @staticmethod
    async def _login(login: Probe) -> str | None:
        """What works still, but will not for long. That there are too many connections just now is no such thing."""
        try:
            await login()
        except REFUSALS as error:
            return f"the database takes no new connection: {connection_failure(error)}"
        except _DATABASE_AWAY as error:
            return f"the database takes no new connection: {connection_failure(error)}" if tls_failure(error) else None
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
        except KafkaAway as error:
            return f"Kafka doesn't answer: {error}"
        except (OSError, KafkaError) as error:
            return f"Kafka doesn't answer: {type(error).__name__}"
        return None

    @staticmethod
    def _unassigned(consumers: Subscriptions) -> str | None:
        refused = consumers.refused()
        if refused:
            return f"Kafka doesn't permit reading {', '.join(refused)}"
        topics = consumers.unassigned()
        return f"no partitions are assigned yet of {', '.join(topics)}" if topics else None

    @staticmethod
    async def _backlog(relay: OutboxRelay) -> None:
        with contextlib.suppress(*_DATABASE_AWAY):
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await relay.measure_backlog()


def _reason(error: Exception) -> str:
    lasting = isinstance(error, REFUSALS) or tls_failure(error) is not None
    return connection_failure(error) if lasting else type(error).__name__


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
