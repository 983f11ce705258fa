"""Redis that speaks TLS, which the embedded one was built without: Debian's, if it is installed."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Final

import pytest

from deploy.embedded.child import NotReadyYet
from deploy.embedded.redis import RedisServer
from tests.support.certificates import HOST, Authority

PASSWORD: Final = "redis-secret"


class SecuredRedis(RedisServer):
    """It listens with TLS only, and wants PASSWORD."""

    def __init__(self, authority: Authority) -> None:
        super().__init__()
        self._authority = authority

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"rediss://:{PASSWORD}@{HOST}:{self.port}/0"

    def _program(self, home: Path) -> list[str]:
        mine = self._authority.issue("redis")
        return [
            str(_server(home)),
            "--port", "0",
            "--tls-port", str(self.port),
            "--tls-cert-file", str(mine.certificate),
            "--tls-key-file", str(mine.key),
            "--tls-ca-cert-file", str(self._authority.ca),
            "--tls-auth-clients", "no",
            "--requirepass", PASSWORD,
        ]  # fmt: skip

    async def _ping(self) -> None:
        context = ssl.create_default_context(cafile=str(self._authority.ca))
        try:
            reader, writer = await asyncio.open_connection(HOST, self.port, ssl=context)
            with contextlib.closing(writer):
                writer.write(b"PING\r\n")
                answer = await reader.readline()
        except OSError as error:
            raise NotReadyYet from error
        if not answer.startswith(b"-NOAUTH"):  # It is up, and wants the password.
            raise NotReadyYet


def _server(home: Path) -> Path:
    """Debian's server is one program under several names, of which redis-tools brings one; skips if there is none."""
    for name in ("redis-server", "redis-check-rdb"):
        found = shutil.which(name)
        if found is not None and _has_tls(found):
            link = home / "redis-server"
            link.unlink(missing_ok=True)
            link.symlink_to(Path(found).resolve())
            return link
    pytest.skip("a redis-server with TLS is missing (Debian: redis-tools)")


def _has_tls(program: str) -> bool:
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return "libssl" in linked
