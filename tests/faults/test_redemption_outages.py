"""Servers that go away under redemption's load and come back: nothing lost, nothing twice, no worker gone."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from signal import SIGQUIT
from typing import Final, TypeVar

import pytest

from deploy.embedded.kafka import ApacheKafka
from deploy.embedded.postgres import PostgresServer
from deploy.embedded.redis import RedisServer
from deploy.embedded.server import EmbeddedServer
from migrations.revisions import upgrade
from shared.settings import KafkaSettings
from shared.topics import create_topics
from tests.support.redemption_trial import RedemptionTrial, redemption_trial
from tests.support.worker_processes import WorkerProcess

Server = TypeVar("Server", bound=EmbeddedServer)

UNDER_WAY: Final = 300
"""So many answers have come before a server goes; most of the rush is still to come."""

apache = pytest.mark.skipif(
    os.environ.get("KAFKA") != "apache", reason="Tansu's log is gone with it; runs with KAFKA=apache"
)


@pytest.fixture
async def servers() -> AsyncIterator[AsyncExitStack]:
    """Stops the servers of the test's own after it."""
    async with AsyncExitStack() as started:
        yield started


async def test_postgres_shut_down_at_once_and_started_again(
    kafka: KafkaSettings, redis_url: str, tmp_path: Path, servers: AsyncExitStack
) -> None:
    postgres = await started(servers, PostgresServer(), tmp_path)
    await asyncio.to_thread(upgrade, postgres.url)
    async with redemption_trial(postgres.url, kafka, redis_url, tmp_path) as trial:
        first, second = await start_two(trial)
        async with trial.checkouts.asking(trial.rush.requests()):
            await trial.checkouts.until_answered(UNDER_WAY)
            await shut_down_at_once(postgres)
            assert trial.checkouts.waiting > 0, "it went when there was nothing to do"
            await asyncio.gather(first.until_logged("batch.failed"), second.until_logged("batch.failed"))
            await postgres.start(tmp_path)
        await trial.finish(first, second)


async def test_redis_stopped_and_started_again(
    database_url: str, kafka: KafkaSettings, tmp_path: Path, servers: AsyncExitStack
) -> None:
    redis = await started(servers, RedisServer(), tmp_path)
    async with redemption_trial(database_url, kafka, redis.url, tmp_path) as trial:
        first, second = await start_two(trial)
        async with trial.checkouts.asking(trial.rush.requests()):
            await trial.checkouts.until_answered(UNDER_WAY)
            await redis.kill()
            await trial.checkouts.until_answered(UNDER_WAY)
            await redis.start(tmp_path)
        await trial.finish(first, second)


@pytest.mark.apache
@apache
async def test_apache_kafka_stopped_and_started_again(
    database_url: str, redis_url: str, tmp_path: Path, servers: AsyncExitStack
) -> None:
    broker = await started(servers, ApacheKafka(), tmp_path)
    kafka = broker.settings.model_copy(update={"kafka_partitions": 4})
    await create_topics(kafka)
    async with redemption_trial(database_url, kafka, redis_url, tmp_path) as trial:
        first, second = await start_two(trial)
        async with trial.checkouts.asking(trial.rush.requests()):
            await trial.checkouts.until_answered(UNDER_WAY)
            await broker.stop()
            assert trial.checkouts.waiting > 0, "it went when there was nothing to do"
            await broker.start(tmp_path)
        await trial.finish(first, second)


async def started(servers: AsyncExitStack, server: Server, folder: Path) -> Server:
    """Start a server, to be stopped after the test."""
    servers.push_async_callback(server.stop)
    await server.start(folder)
    return server


async def start_two(trial: RedemptionTrial) -> tuple[WorkerProcess, WorkerProcess]:
    """Two workers; both must outlive the outage and end in order."""
    first, second = await asyncio.gather(trial.workers.start("first"), trial.workers.start("second"))
    await trial.group.until_members(2)
    return first, second


async def shut_down_at_once(postgres: PostgresServer) -> None:
    """The "immediate shutdown": sessions are cut and nothing is saved; the next start recovers from the log."""
    assert postgres.pid is not None
    os.kill(postgres.pid, SIGQUIT)
    await postgres.stop()  # It waits; a milder shutdown asked for meanwhile changes nothing.
