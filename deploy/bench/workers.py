"""One process of a service under measurement, configured by its environment as in production."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import psutil
import redis.asyncio as redis

from deploy.bench.servers import Servers
from deploy.embedded.child import Child, NotReadyYet
from deploy.embedded.errors import ServerError
from shared.settings import KafkaSettings

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0  # It sends what its outbox still holds.
_MB = 1024 * 1024


def service_argv(service: str) -> Sequence[str]:
    """The command that containers run."""
    return sys.executable, "-m", "deploy.cli", "run", service


class Worker:
    """A started worker process."""

    def __init__(self, child: Child, ready_file: str) -> None:
        self._child = child
        self._ready_file = ready_file
        self._process = psutil.Process(child.pid)

    async def until_ready(self) -> None:
        """Wait until it has joined its groups.

        Raises:
            ServerError: it ended, or the time is up; with the end of its log.
        """
        await self._child.until_ready(self._look_for_ready_file, START_TIMEOUT_S)

    async def _look_for_ready_file(self) -> None:
        if not os.path.exists(self._ready_file):
            raise NotReadyYet

    def rss_mb(self) -> float:
        """The memory it holds now.

        Raises:
            ServerError: it has ended; with the end of its log.
        """
        try:
            rss: int = self._process.memory_info().rss
        except psutil.Error:
            rss = 0
        if rss == 0 or not self._child.running:  # A process that ended but is not waited for yet holds nothing.
            raise ServerError(f"{self._child.name} ended: {self._child.log_tail()}")
        return rss / _MB


@asynccontextmanager
async def running_worker(
    servers: Servers, name: str, argv: Sequence[str], database_url: str, kafka: KafkaSettings
) -> AsyncIterator[Worker]:
    """Run a service process while the `async with` block runs; it may not be ready at first.

    Its Redis is empty: what a worker on another database left there is not true of this one.
    """
    async with redis.from_url(servers.redis_url) as cache:
        await cache.flushall()
    ready_file = str(servers.folder / f"ready-{uuid4().hex}")
    environment = {f"OFFERS_{key.upper()}": str(value) for key, value in kafka.model_dump(exclude_none=True).items()}
    environment |= {"OFFERS_DATABASE_URL": database_url, "OFFERS_REDIS_URL": servers.redis_url}
    environment |= {"OFFERS_READY_FILE": ready_file, "OFFERS_HTTP_PORT": "0"}
    log_path = servers.folder / "logs" / f"{name}.log"
    child = await Child.spawn(name, argv, log_path=log_path, env=os.environ | environment)
    try:
        yield Worker(child, ready_file)
    finally:
        await child.stop(signal.SIGTERM, STOP_TIMEOUT_S)
