"""The whole system on this machine: servers, services, and everything they need before they can answer."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from rich.console import Console

from deploy.embedded.access import give_access
from deploy.embedded.addresses import Addresses, write_environment, write_ready_file
from deploy.embedded.kafka import ApacheKafka, EmbeddedKafka
from deploy.embedded.options import KafkaKind, StackOptions
from deploy.embedded.ports import free_port
from deploy.embedded.postgres import PostgresServer
from deploy.embedded.processes import SERVICES, ServiceProcesses
from deploy.embedded.redis import RedisServer
from deploy.embedded.server import EmbeddedServer, KafkaServer
from deploy.logins import create_logins
from shared.client import RedemptionClient
from shared.database import connect
from shared.settings import DatabaseSettings
from shared.topics import create_topics

QUOTE_TIMEOUT_S = 60.0


class Stack:
    """Everything, up and answering while the `async with` block runs; leaving it stops all in order."""

    addresses: Addresses

    def __init__(self, options: StackOptions, console: Console) -> None:
        self._options = options
        self._console = console
        self._closing = AsyncExitStack()
        self._processes: ServiceProcesses

    async def __aenter__(self) -> Self:
        if self._options.ready_file is not None:
            self._options.ready_file.unlink(missing_ok=True)
        async with AsyncExitStack() as opened:
            started = time.monotonic()
            data_dir = await opened.enter_async_context(self._data_dir())
            await self._start_servers(opened, data_dir)
            await self._start_services(opened, data_dir)
            await self._announce(data_dir, time.monotonic() - started)
            self._closing = opened.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._console.print("[dim]stopping …[/]")
        if self._options.ready_file is not None:
            self._options.ready_file.unlink(missing_ok=True)
        await self._closing.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def _data_dir(self) -> AsyncIterator[Path]:
        """The folder of data and logs; a temporary one stays only if the stack did not come up or broke."""
        if self._options.data_dir is not None:
            self._options.data_dir.mkdir(parents=True, exist_ok=True)
            yield self._options.data_dir.resolve()
            return
        data_dir = Path(tempfile.mkdtemp(prefix="offers-"))
        try:
            yield data_dir
        except Exception:
            self._console.print(f"logs are kept in {data_dir / 'logs'}", soft_wrap=True)
            raise
        except BaseException:
            shutil.rmtree(data_dir, ignore_errors=True)
            raise
        else:
            shutil.rmtree(data_dir, ignore_errors=True)

    async def _start_servers(self, opened: AsyncExitStack, data_dir: Path) -> None:
        postgres, redis = PostgresServer(), RedisServer()
        kafka: KafkaServer = ApacheKafka() if self._options.kafka is KafkaKind.apache else EmbeddedKafka()
        servers: tuple[tuple[str, EmbeddedServer], ...] = (
            ("PostgreSQL", postgres),
            ("Redis", redis),
            ("Apache Kafka" if self._options.kafka is KafkaKind.apache else "Kafka", kafka),
        )
        for _, server in servers:
            opened.push_async_callback(server.stop)
        try:
            async with asyncio.TaskGroup() as starting:
                for name, server in servers:
                    starting.create_task(self._start_server(name, server, data_dir))
        except ExceptionGroup as failed:  # The first one's text says what to do.
            raise failed.exceptions[0] from failed
        self.addresses = Addresses(
            database_url=postgres.url,
            kafka=kafka.settings,
            redis_url=redis.url,
            admin_url=f"http://127.0.0.1:{free_port()}",
            admin_token=f"ofr_{uuid4().hex}{uuid4().hex}",
            audit_url=f"http://127.0.0.1:{free_port()}",
        )

    async def _start_server(self, name: str, server: EmbeddedServer, data_dir: Path) -> None:
        async with self._step(f"{name} on port {server.port}"):
            await server.start(data_dir)

    async def _start_services(self, opened: AsyncExitStack, data_dir: Path) -> None:
        async with self._step("database migrated"):
            from migrations.revisions import upgrade  # Alembic takes 25 MB, which `offers run` would hold as well.

            await asyncio.to_thread(upgrade, self.addresses.database_url)
            logins = await self._prepare_database()
        async with self._step("topics created"):
            await create_topics(self.addresses.kafka)
        self._processes = ServiceProcesses(self.addresses, logins, data_dir, self._options.workers, self._console)
        async with self._step("services started"):
            await opened.enter_async_context(self._processes)
            await self._processes.until_ready()
        async with self._step("a quote answered"):
            await self._ask_for_a_quote()

    async def _prepare_database(self) -> dict[str, str]:
        """Make the first admin and the services' logins; returns the database's URL for each service."""
        connection = await connect(DatabaseSettings(database_url=self.addresses.database_url))
        try:
            await give_access(connection, self.addresses.admin_user, self.addresses.admin_token)
            return await create_logins(connection, self.addresses.database_url, SERVICES)
        finally:
            await connection.close()

    async def _ask_for_a_quote(self) -> None:
        async with RedemptionClient(self.addresses.kafka) as client:
            await client.quote(uuid4(), Decimal("1.00"), timeout_s=QUOTE_TIMEOUT_S)

    async def _announce(self, data_dir: Path, took_s: float) -> None:
        write_environment(self.addresses, data_dir / "env")
        if self._options.ready_file is not None:
            write_ready_file(self.addresses, self._processes.pids(), self._options.ready_file)
        show = self._console.print
        show(f"\n[bold green]Up in {took_s:.1f} s.[/]")
        for name, text in (
            ("admin page", self.addresses.admin_url),
            (f"sign in as {self.addresses.admin_user}", f"with {self.addresses.admin_token}"),
            ("audit API", self.addresses.audit_url),
            ("logs", str(data_dir / "logs")),
            ("other terminals", f"source {data_dir / 'env'}"),
        ):
            show(f"  [dim]{name:<18}[/]{text}", soft_wrap=True)
        show()

    @asynccontextmanager
    async def _step(self, text: str) -> AsyncIterator[None]:
        started = time.monotonic()
        yield
        self._console.print(f"  [green]✓[/] {text:<40} [dim]{time.monotonic() - started:5.1f} s[/]")
