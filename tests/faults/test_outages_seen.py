"""Servers away under traffic, as probes and metrics show it: everything says so, catches up, and loses nothing."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.embedded.kafka import ApacheKafka, EmbeddedKafka
from deploy.embedded.postgres import PostgresServer
from deploy.embedded.server import KafkaServer
from deploy.verification import verify_settled
from migrations.revisions import upgrade
from shared.client import EventPublisher, RedemptionClient
from shared.database import Pool, connect, create_pool
from shared.settings import DatabaseSettings, KafkaSettings
from shared.topics import create_topics
from tests.support.campaign import add_offer
from tests.support.metrics import address, scrape, until_ready, until_true
from tests.support.outages import Traffic, away
from tests.support.waiting import until
from tests.support.worker_processes import worker_processes

SERVICES = ("redemption", "segmenter", "audit", "admin")
LAG = "offers_consumer_lag_messages"


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[PostgresServer]:
    """A server of the test's own, migrated."""
    server = PostgresServer()
    await server.start(tmp_path)
    await asyncio.to_thread(upgrade, server.url)
    yield server
    await server.stop()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[KafkaServer]:
    """A broker of the test's own, with its topics."""
    server: KafkaServer = ApacheKafka() if os.environ.get("KAFKA") == "apache" else EmbeddedKafka()
    await server.start(tmp_path)
    await create_topics(server.settings)
    yield server
    await server.stop()


@pytest.fixture
async def pool(postgres: PostgresServer) -> AsyncIterator[Pool]:
    """A pool that outlives the server's outage."""
    async with create_pool(DatabaseSettings(database_url=postgres.url), "test") as opened:
        yield opened


@pytest.fixture
async def addresses(
    postgres: PostgresServer, broker: KafkaServer, redis_url: str, tmp_path: Path
) -> AsyncIterator[dict[str, str]]:
    """Where one process of each service listens."""
    async with AsyncExitStack() as running:
        for service in SERVICES:
            own = worker_processes(service, postgres.url, broker.settings, tmp_path, OFFERS_REDIS_URL=redis_url)
            await (await running.enter_async_context(own)).start(service)
        yield {service: address(tmp_path, service) for service in SERVICES}


async def all_answer(addresses: dict[str, str], status: int) -> list[str]:
    """Wait until every service's /readyz has this status; what each says is missing."""
    return await asyncio.gather(*(until_ready(url, status) for url in addresses.values()))


async def all_show(addresses: dict[str, str], part: str, value: int) -> None:
    """Every service's metrics say so too."""
    shown = [(await scrape(url)).value("offers_ready", part=part) for url in addresses.values()]
    assert shown == [value] * len(addresses)


async def until_lag(url: str, topic: str, *, some: bool) -> None:
    async def look() -> bool:
        return ((await scrape(url)).value(LAG, topic=topic) > 0) == some

    await until_true(look, f"{'some' if some else 'no'} lag of {topic}")


async def database_goes_and_comes(postgres: PostgresServer, folder: Path, addresses: dict[str, str]) -> None:
    await postgres.stop()
    missing = await all_answer(addresses, 503)
    assert [text.startswith("the database doesn't answer") for text in missing] == [True] * 4
    await all_show(addresses, "database", 0)
    await until_lag(addresses["redemption"], "redemption.requests", some=True)
    await until_lag(addresses["segmenter"], "topups", some=True)
    await postgres.start(folder)
    await all_answer(addresses, 200)
    await all_show(addresses, "database", 1)


async def broker_goes_and_comes(broker: KafkaServer, folder: Path, addresses: dict[str, str]) -> None:
    async with away(broker, folder):
        missing = await all_answer(addresses, 503)
        assert ["Kafka doesn't answer" in text for text in missing] == [True] * 4
        await all_show(addresses, "broker", 0)
    await all_answer(addresses, 200)
    await all_show(addresses, "broker", 1)


async def test_the_database_then_the_broker_away_under_traffic(
    postgres: PostgresServer, broker: KafkaServer, pool: Pool, addresses: dict[str, str], tmp_path: Path
) -> None:
    offer = await add_offer(pool)
    ruled = await add_offer(pool, [{"rule_type": "min_topups", "params": {"count": 2}}])
    kafka: KafkaSettings = broker.settings
    people = [uuid4() for _ in range(20)]
    await all_answer(addresses, 200)
    async with RedemptionClient(kafka) as client, EventPublisher(kafka) as events:
        traffic = Traffic(client, events, offer, people)
        running = asyncio.create_task(traffic.run())
        await traffic.until_more(20)
        await database_goes_and_comes(postgres, tmp_path, addresses)
        await traffic.until_more(20)
        await broker_goes_and_comes(broker, tmp_path, addresses)
        await traffic.until_more(20)
        traffic.over = True
        await running
    assert {(reply.status, reply.price_paid) for reply in traffic.replies} == {("accepted", Decimal("9.00"))}
    assert await pool.fetchval("SELECT count(*) FROM offer_redemptions") == len(traffic.replies)
    await until(pool, "SELECT count(*) FROM topup_requests", traffic.topups)
    assert await pool.fetchval("SELECT count(*) FROM offer_segment_members WHERE offer_id = $1", ruled) == 20
    await until_lag(addresses["redemption"], "redemption.requests", some=False)
    await until_lag(addresses["segmenter"], "topups", some=False)
    await until_lag(addresses["audit"], "audit.events", some=False)
    connection = await connect(DatabaseSettings(database_url=postgres.url))
    try:
        checks = await verify_settled(connection, 60.0)
        assert [breach for check in checks for breach in check.breaches] == []
    finally:
        await connection.close()
