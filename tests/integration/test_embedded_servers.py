"""The embedded servers keep their data, come back on their port, and survive being killed."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis

from deploy.embedded.account import server_account
from deploy.embedded.child import Child
from deploy.embedded.errors import MissingRequirement, ServerError
from deploy.embedded.kafka import ApacheKafka, EmbeddedKafka
from deploy.embedded.kafka_jars import java_program, kafka_jars
from deploy.embedded.ports import free_port, is_free
from deploy.embedded.postgres import PostgresServer
from deploy.embedded.redis import RedisServer
from deploy.embedded.server import EmbeddedServer, KafkaServer

apache = pytest.mark.skipif(os.environ.get("KAFKA") != "apache", reason="runs with KAFKA=apache")
TOPIC = "fruit"
GROUP = "pickers"
PATIENCE_S = 30.0


@pytest.fixture
async def started() -> AsyncIterator[list[EmbeddedServer]]:
    """Servers a test started; stopped after it."""
    servers: list[EmbeddedServer] = []
    yield servers
    for server in servers:
        await server.stop()


@pytest.fixture
async def own_postgres(tmp_path: Path, started: list[EmbeddedServer]) -> PostgresServer:
    server = PostgresServer()
    started.append(server)
    await server.start(tmp_path)
    return server


async def write_row(url: str, value: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (value integer)")
    await connection.execute("INSERT INTO kept VALUES ($1)", value)
    await connection.close()


async def rows(url: str) -> list[int]:
    connection = await asyncpg.connect(url)
    found = await connection.fetch("SELECT value FROM kept ORDER BY value")
    await connection.close()
    return [row["value"] for row in found]


def test_a_port_in_use_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not is_free(taken.getsockname()[1])


def test_free_ports_are_distinct() -> None:
    assert len({free_port() for _ in range(50)}) == 50


async def test_postgres_keeps_its_data_and_address_over_a_restart(own_postgres: PostgresServer, tmp_path: Path) -> None:
    url = own_postgres.url
    await write_row(url, 1)
    await own_postgres.stop()
    assert own_postgres.pid is None
    assert is_free(own_postgres.port)
    await own_postgres.start(tmp_path)
    assert own_postgres.url == url
    assert await rows(url) == [1]


async def test_postgres_starts_again_after_sigkill_with_every_committed_row(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    await write_row(own_postgres.url, 1)
    await own_postgres.kill()
    lock = tmp_path / "postgres" / "postmaster.pid"
    assert lock.exists()
    # The worst case: its process id has been given to another living process of the same user.
    log_path = tmp_path / "bystander.log"
    bystander = await Child.spawn("bystander", ["sleep", "600"], log_path=log_path, account=server_account())
    lock.write_text("\n".join([str(bystander.pid), *lock.read_text().splitlines()[1:]]) + "\n")
    try:
        await own_postgres.start(tmp_path)
        assert bystander.running
    finally:
        await bystander.stop(signal.SIGKILL, PATIENCE_S)
    assert await rows(own_postgres.url) == [1]


async def test_a_second_postgres_on_the_same_data_is_refused(
    own_postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.embedded.postgres._LEFTOVER_TIMEOUT_S", 0.1)
    await write_row(own_postgres.url, 1)
    with pytest.raises(ServerError, match="another PostgreSQL is running on"):
        await PostgresServer().start(tmp_path)
    assert await rows(own_postgres.url) == [1]


async def test_postgres_makes_its_cluster_anew_if_the_first_attempt_was_interrupted(
    tmp_path: Path, started: list[EmbeddedServer]
) -> None:
    unfinished = tmp_path / "postgres.new"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    server = PostgresServer()
    started.append(server)
    await server.start(tmp_path)
    await write_row(server.url, 1)
    assert await rows(server.url) == [1]


async def test_postgres_is_durable_and_only_local(own_postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(own_postgres.url)
    names = ["fsync", "synchronous_commit", "TimeZone", "max_connections", "max_locks_per_transaction"]
    assert [await connection.fetchval("SELECT current_setting($1)", name) for name in names] == [
        "on",
        "on",
        "UTC",
        "200",
        "256",
    ]
    assert await connection.fetchval("SELECT usesuper FROM pg_user WHERE usename = 'offers'") is True
    await connection.close()
    assert listening_addresses(own_postgres) == {"127.0.0.1"}


async def test_a_port_in_use_stops_the_start_with_the_servers_own_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = PostgresServer(taken.getsockname()[1])
        with pytest.raises(ServerError, match=r"postgres exited with code 1: .*Address already in use"):
            await server.start(tmp_path)
    assert server.pid is None


async def test_redis_keeps_its_data_and_address_over_a_restart(tmp_path: Path, started: list[EmbeddedServer]) -> None:
    server = RedisServer()
    started.append(server)
    await server.start(tmp_path)
    assert listening_addresses(server) == {"127.0.0.1"}
    async with Redis.from_url(server.url) as client:
        await client.set("session", "open")
    await server.stop()
    await server.start(tmp_path)
    async with Redis.from_url(server.url) as client:
        assert await client.get("session") == b"open"


async def test_embedded_kafka_delivers_headers_and_keeps_committed_offsets(
    tmp_path: Path, started: list[EmbeddedServer]
) -> None:
    server = EmbeddedKafka()
    started.append(server)
    await server.start(tmp_path)
    assert listening_addresses(server) == {"127.0.0.1"}
    await create_topic(server)
    await check_round_trip(server)


async def test_embedded_kafka_comes_back_empty_on_the_same_port(tmp_path: Path, started: list[EmbeddedServer]) -> None:
    server = EmbeddedKafka()
    started.append(server)
    await server.start(tmp_path)
    address = server.bootstrap_servers
    await create_topic(server)
    await server.kill()
    await server.start(tmp_path)
    assert server.bootstrap_servers == address
    assert TOPIC not in await topics(server)


async def test_a_running_server_is_not_started_twice(tmp_path: Path, started: list[EmbeddedServer]) -> None:
    server = EmbeddedKafka()
    started.append(server)
    await server.start(tmp_path)
    with pytest.raises(ServerError, match=f"kafka is already running on port {server.port}"):
        await server.start(tmp_path)


async def test_without_java_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(MissingRequirement, match="needs Java 17 or newer: no java in PATH"):
        await java_program()


async def test_an_old_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(MissingRequirement, match=f"Java 17 or newer: {java} is 11"):
        await java_program()


async def test_without_maven_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingRequirement, match="fetched by Maven: no mvn in PATH"):
        await kafka_jars()


async def test_a_failing_maven_leaves_no_jars_and_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\nmkdir -p \"${5#-DoutputDirectory=}\"\necho '[ERROR] no such host'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ServerError, match="could not fetch Apache Kafka: no such host"):
        await kafka_jars()
    assert [path.name for path in (tmp_path / "cache" / "offers").iterdir()] == ["maven.log"]


@pytest.mark.apache
@apache
async def test_apache_kafka_keeps_its_messages_over_a_stop_and_a_crash(
    tmp_path: Path, started: list[EmbeddedServer]
) -> None:
    server = ApacheKafka()
    started.append(server)
    await server.start(tmp_path)
    assert listening_addresses(server) <= {"127.0.0.1", "::ffff:127.0.0.1"}
    address = server.bootstrap_servers
    await create_topic(server)
    await check_round_trip(server)
    await server.stop()
    await server.start(tmp_path)
    assert server.bootstrap_servers == address
    assert await read_from_the_start(server) == [b"apple", b"pear"]
    await server.kill()
    await server.start(tmp_path)
    assert await read_from_the_start(server) == [b"apple", b"pear"]


def listening_addresses(server: EmbeddedServer) -> set[str]:
    """The addresses the server's main process listens on."""
    connections = psutil.Process(server.pid).net_connections(kind="inet")
    return {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}


async def create_topic(server: KafkaServer) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    await admin.close()


async def topics(server: KafkaServer) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap_servers)
    await admin.start()
    names: list[str] = await admin.list_topics()
    await admin.close()
    return names


def consumer(server: KafkaServer, group: str | None = None) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        bootstrap_servers=server.bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
        # Tansu answers a join after half of this; Apache Kafka takes no less.
        session_timeout_ms=6_000,
        heartbeat_interval_ms=300,
    )


async def check_round_trip(server: KafkaServer) -> None:
    """Two messages; a member of the group commits after one, a reader of the same group gets the other."""
    options = {"enable_idempotence": server.idempotent_producer, "acks": "all"}
    async with AIOKafkaProducer(bootstrap_servers=server.bootstrap_servers, **options) as producer:
        await producer.send_and_wait(TOPIC, b"apple", key=b"k", headers=[("colour", b"red")])
        await producer.send_and_wait(TOPIC, b"pear", key=b"k", headers=[("colour", b"green")])
    partition = TopicPartition(TOPIC, 0)
    async with asyncio.timeout(PATIENCE_S):
        async with consumer(server, GROUP) as first:
            first.subscribe([TOPIC])
            message = await first.getone()
            assert (message.value, message.key, message.headers) == (b"apple", b"k", (("colour", b"red"),))
            await first.commit({partition: message.offset + 1})
        async with consumer(server, GROUP) as second:
            second.assign([partition])  # No member: it need not wait until the first is given up.
            message = await second.getone()
            assert (message.value, message.headers) == (b"pear", (("colour", b"green"),))
            assert await second.committed(partition) == 1


async def read_from_the_start(server: KafkaServer) -> list[bytes]:
    async with asyncio.timeout(PATIENCE_S), consumer(server) as reader:
        reader.assign([TopicPartition(TOPIC, 0)])
        return [(await reader.getone()).value for _ in range(2)]
