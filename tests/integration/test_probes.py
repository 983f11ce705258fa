"""Probes and metrics of services that run as processes: what an orchestrator and Prometheus see of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import orjson
import psutil
import pytest

from deploy.embedded.postgres import PostgresServer
from migrations.revisions import upgrade
from services.redemption.app import RedemptionSettings, wire
from shared.broker import Outgoing, Publisher
from shared.client import EventPublisher, RedemptionClient
from shared.clock import utc_now
from shared.database import Pool
from shared.events.topups import TopupEvent
from shared.http.probes import Health, kafka_probe
from shared.settings import KafkaSettings
from shared.topics import REDEMPTION_REQUESTS, TOPUPS, create_topics
from tests.support.campaign import add_offer
from tests.support.metrics import address, readiness, scrape, until_ready, until_true
from tests.support.services import UNUSED_REDIS_URL, UNUSED_URL
from tests.support.worker_processes import worker_processes

TOPUPS_SENT = 3
EVERYTHING_READY = (200, "")


async def test_redemption_counts_what_it_decides(
    database_url: str, pool: Pool, kafka: KafkaSettings, publisher: Publisher, redis_url: str, tmp_path: Path
) -> None:
    offer, other = await add_offer(pool), await add_offer(pool, status="paused")
    async with worker_processes("redemption", database_url, kafka, tmp_path, OFFERS_REDIS_URL=redis_url) as workers:
        worker = await workers.start("first")
        url = address(tmp_path, "first")
        assert await readiness(url) == EVERYTHING_READY
        await publisher.publish_all([Outgoing(REDEMPTION_REQUESTS, b"key", b"no JSON at all")])
        async with RedemptionClient(kafka) as client:
            for wanted in (offer, offer, other):
                await client.redeem(uuid4(), Decimal("10.00"), offer_id=wanted)
            await client.quote(uuid4(), Decimal("10.00"), offer_id=offer)

        async def committed() -> bool:
            seen = await scrape(url)
            return seen.value("offers_consumer_lag_messages") == 0 and seen.value("offers_dead_letters_total") == 1

        await until_true(committed, "every request is committed, the one that can't be read as a dead letter")
        seen = await scrape(url)
        assert seen.value("offers_decisions_total", command="redeem", status="accepted", reason="") == 2
        assert seen.value("offers_decisions_total", command="redeem", reason="offer_inactive") == 1
        assert seen.value("offers_decisions_total", command="quote", status="accepted") == 1
        assert seen.value("offers_decisions_total") == 4
        assert seen.value("offers_batch_messages_sum", topic="redemption.requests") == 5
        transactions = seen.value("offers_transaction_seconds_count", topic="redemption.requests")
        assert 4 <= transactions <= 5
        assert seen.value("offers_visible_seconds_count", topic="redemption.requests") == transactions
        assert seen.value("offers_catalogue_lookups_total", found="database") == 2
        assert seen.value("offers_catalogue_lookups_total", found="memory") == 2
        assert seen.value("offers_database_pool_connections", state="max") == 6
        assert seen.value("offers_ready", part="consumers") == 1
        assert len([sample for sample in seen.samples if sample.name == "offers_consumer_lag_messages"]) >= 1
        assert await worker.stop() == 0


async def test_the_segmenter_counts_members_and_what_waits(
    database_url: str, pool: Pool, kafka: KafkaSettings, tmp_path: Path
) -> None:
    await add_offer(pool, [{"rule_type": "min_topups", "params": {"count": 1}}])
    await pool.execute(
        "INSERT INTO outbox (topic, message_keys, messages) VALUES ('offers.changed', $1::uuid[], '{x}')", [uuid4()]
    )
    async with worker_processes("segmenter", database_url, kafka, tmp_path) as workers:
        worker = await workers.start("first")
        url = address(tmp_path, "first")
        async with EventPublisher(kafka) as events:
            await events.topups(
                TopupEvent(
                    event_id=uuid4(),
                    type="topup.succeeded",
                    topup_id=uuid4(),
                    user_id=uuid4(),
                    operator_id=uuid4(),
                    amount=Decimal("5.00"),
                    occurred_at=utc_now(),
                )
                for _ in range(TOPUPS_SENT)
            )

        async def entered() -> bool:
            return (await scrape(url)).value("offers_members_changed_total", change="entered") == TOPUPS_SENT

        await until_true(entered, "each user entered")
        seen = await scrape(url)
        assert seen.value("offers_batch_messages_sum", topic=TOPUPS) == TOPUPS_SENT
        assert 0 < seen.value("offers_visible_seconds_sum", topic=TOPUPS) < 60
        assert seen.value("offers_outbox_rows") == 0, "the row of another service's topic counts as this one's"
        assert await worker.stop() == 0


async def test_what_an_outage_leaves_undone_shows_as_lag(
    kafka: KafkaSettings, redis_url: str, tmp_path: Path, publisher: Publisher
) -> None:
    postgres = PostgresServer()
    await postgres.start(tmp_path)
    try:
        upgrade(postgres.url)
        async with worker_processes("redemption", postgres.url, kafka, tmp_path, OFFERS_REDIS_URL=redis_url) as workers:
            worker = await workers.start("first")
            url = address(tmp_path, "first")
            await until_ready(url)
            # Where nothing was ever committed, what was read already counts as done.
            await publisher.publish_all([Outgoing(REDEMPTION_REQUESTS, b"one key", b"{}")])

            async def first_done() -> bool:
                return (await scrape(url)).value("offers_batch_messages_sum") == 1

            await until_true(first_done, "one is handled")
            await postgres.stop()
            assert (await until_ready(url, 503)).startswith("the database doesn't answer")
            requests = [orjson.dumps({"request_id": str(uuid4())}) for _ in range(7)]
            await publisher.publish_all(Outgoing(REDEMPTION_REQUESTS, b"one key", request) for request in requests)

            async def waiting() -> bool:
                return (await scrape(url)).value("offers_consumer_lag_messages") == 7

            await until_true(waiting, "seven requests wait")
            seen = await scrape(url)
            assert seen.value("offers_ready", part="database") == 0
            assert seen.value("offers_ready", part="broker") == 1
            assert seen.value("offers_batches_failed_total", topic="redemption.requests") >= 1
            await postgres.start(tmp_path)

            async def caught_up() -> bool:
                return (await scrape(url)).value("offers_consumer_lag_messages") == 0

            await until_true(caught_up, "all are committed")
            assert await readiness(url) == EVERYTHING_READY
            assert await worker.stop() == 0
    finally:
        await postgres.stop()


async def test_a_database_that_hangs_is_away_too(
    kafka: KafkaSettings, redis_url: str, tmp_path: Path, publisher: Publisher
) -> None:
    postgres = PostgresServer()
    await postgres.start(tmp_path)
    try:
        upgrade(postgres.url)
        async with worker_processes("redemption", postgres.url, kafka, tmp_path, OFFERS_REDIS_URL=redis_url) as workers:
            worker = await workers.start("first")
            url = address(tmp_path, "first")
            with held_up(postgres):
                assert await readiness(url) == (503, "the database doesn't answer: TimeoutError")
                seen = await scrape(url)
                assert (seen.value("offers_ready", part="database"), seen.value("offers_ready", part="broker")) == (
                    0,
                    1,
                )
            await until_ready(url)
            assert await worker.stop() == 0
    finally:
        await postgres.stop()


@contextmanager
def held_up(postgres: PostgresServer) -> Iterator[None]:
    """Every process of the server is stopped for a while, as on a machine that hangs."""
    server = psutil.Process(postgres.pid)
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def test_a_consumer_is_missing_until_its_group_has_dealt_even_if_it_is_dealt_nothing(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher
) -> None:
    one = kafka.model_copy(update={"kafka_topic_prefix": f"one-{uuid4().hex[:8]}.", "kafka_partitions": 1})
    await create_topics(one)
    settings = RedemptionSettings(database_url=UNUSED_URL, redis_url=UNUSED_REDIS_URL, **one.model_dump())
    workers = [wire(settings, pool, publisher) for _ in range(2)]
    health = [Health(pool, kafka_probe(one), worker) for worker in workers]
    missing = ["no partitions are assigned yet of redemption.requests, offers.changed"]
    assert [await each.missing() for each in health] == [missing, missing]
    try:
        await asyncio.gather(*(worker.start() for worker in workers))

        async def both_ready() -> bool:
            return [await each.missing() for each in health] == [[], []]

        await until_true(both_ready, "both are ready, one of them with no partition")
    finally:
        await asyncio.gather(*(worker.stop() for worker in workers))


@pytest.mark.parametrize("service", ["redemption", "segmenter"])
async def test_an_address_in_use_is_named(
    service: str, database_url: str, kafka: KafkaSettings, redis_url: str, tmp_path: Path
) -> None:
    async with worker_processes(service, database_url, kafka, tmp_path, OFFERS_REDIS_URL=redis_url) as workers:
        await workers.start("first")
        taken = address(tmp_path, "first").rpartition(":")[2]
        with pytest.raises(Exception, match=f"OFFERS_HTTP_PORT: 127.0.0.1:{taken}"):
            await workers.start("second", environment={"OFFERS_HTTP_PORT": taken})
