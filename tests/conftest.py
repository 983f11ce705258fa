"""Real servers for the whole suite: started once, with a fresh database and fresh topics for each test."""

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.embedded.kafka import ApacheKafka, EmbeddedKafka
from deploy.embedded.postgres import PostgresServer
from deploy.embedded.redis import RedisServer
from deploy.embedded.server import KafkaServer
from migrations.revisions import upgrade
from shared.broker import Publisher
from shared.database import Pool, create_pool
from shared.settings import DatabaseSettings, KafkaSettings
from shared.topics import create_topics

pytest.register_assert_rewrite("tests.support")

TEMPLATE = "offers_template"
KAFKA = os.environ.get("KAFKA") or "embedded"
WORKERS_MAX = 4
WITH_A_BROKER_OF_THEIR_OWN = frozenset(("test_sample.py", "test_bench_redemption.py"))


def pytest_report_header() -> str:
    """Name the servers the tests run on."""
    broker = {"embedded": "Tansu (Kafka protocol)", "apache": "Apache Kafka, one KRaft node"}[KAFKA]
    return f"servers: PostgreSQL and Redis from wheels, broker: {broker}"


def pytest_xdist_auto_num_workers() -> int:
    """Workers of `-n auto`: one a core, but not more than fit in a laptop's memory, as each has servers of its own."""
    return min(os.cpu_count() or 1, WORKERS_MAX)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark those that talk to the broker KAFKA names: on another one, only these have anything new to say.

    What browsers are shown passes through the broker, but has been through it in other tests.
    """
    for item in items:
        if item.path.parent.name == "browser":
            continue
        fixtures: list[str] = getattr(item, "fixturenames", [])
        own_broker = item.path.parent.name == "faults" or item.path.name in WITH_A_BROKER_OF_THEIR_OWN
        if "kafka_server" in fixtures or own_broker or item.get_closest_marker("apache"):
            item.add_marker("kafka")


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """Where the servers keep their data and logs; not under pytest's own folder, which other runs lock."""
    with tempfile.TemporaryDirectory(prefix="offers-tests-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
async def postgres(servers_dir: Path) -> AsyncIterator[PostgresServer]:
    """A PostgreSQL server with a migrated template database."""
    server = PostgresServer()
    await server.start(servers_dir)
    try:
        connection = await asyncpg.connect(server.url)
        await connection.execute(f"CREATE DATABASE {TEMPLATE}")
        await connection.close()
        upgrade(database_named(server, TEMPLATE))
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="session")
async def redis_url(servers_dir: Path) -> AsyncIterator[str]:
    """A Redis server."""
    server = RedisServer()
    await server.start(servers_dir)
    yield server.url
    await server.stop()


@pytest.fixture(scope="session")
async def kafka_server(servers_dir: Path) -> AsyncIterator[KafkaServer]:
    """The broker KAFKA names: `embedded` (the default) or `apache`."""
    server: KafkaServer = ApacheKafka() if KAFKA == "apache" else EmbeddedKafka()
    await server.start(servers_dir)
    yield server
    await server.stop()


def database_named(server: PostgresServer, name: str) -> str:
    """The URL of another database of the server."""
    return server.url.rpartition("/")[0] + f"/{name}"


@pytest.fixture
async def empty_database_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """A database of the test's own without any table."""
    async for url in _database(postgres, "template1"):
        yield url


@pytest.fixture
async def database_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """A migrated database of the test's own."""
    async for url in _database(postgres, TEMPLATE):
        yield url


async def _database(server: PostgresServer, template: str) -> AsyncIterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server.url)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield database_named(server, name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture(scope="module")
async def shared_database_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """A migrated database that a module's tests share."""
    async for url in _database(postgres, TEMPLATE):
        yield url


@pytest.fixture(scope="module")
async def unchanged(shared_database_url: str) -> AsyncIterator[Pool]:
    """A pool on the module's database, for tests that leave it as it was or look only at what they put there."""
    settings = DatabaseSettings(database_url=shared_database_url, database_pool_size_max=10)
    async with create_pool(settings, "test") as opened:
        yield opened


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """A pool on the test's database, with the services' codecs."""
    async with create_pool(DatabaseSettings(database_url=database_url, database_pool_size_max=10), "test") as opened:
        yield opened


@pytest.fixture
async def kafka(kafka_server: KafkaServer) -> KafkaSettings:
    """Settings with a topic prefix of the test's own, its topics created."""
    return await _topics(kafka_server)


@pytest.fixture(scope="module")
async def shared_kafka(kafka_server: KafkaServer) -> KafkaSettings:
    """Settings with a topic prefix that a module's tests share, its topics created."""
    return await _topics(kafka_server)


async def _topics(server: KafkaServer) -> KafkaSettings:
    own: dict[str, object] = {"kafka_topic_prefix": f"t{uuid.uuid4().hex[:12]}.", "kafka_partitions": 4}
    if KAFKA == "embedded":
        own["kafka_session_timeout_ms"] = 1_500  # Half of what people get, as each test joins anew.
    settings = server.settings.model_copy(update=own)
    await create_topics(settings)
    return settings


@pytest.fixture
async def publisher(kafka: KafkaSettings) -> AsyncIterator[Publisher]:
    """A started publisher."""
    started = Publisher(kafka, "test")
    await started.start()
    yield started
    await started.stop()
