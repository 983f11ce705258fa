"""PostgreSQL over TLS: the URL alone says whom to trust and who we are, to queries and to migrations alike."""

import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

import pytest

import deploy.cli
from shared.database import connect, create_pool
from shared.http.probes import Health, login_probe
from shared.settings import DatabaseSettings
from tests.support.certificates import Authority
from tests.support.metrics import until_true
from tests.support.secured_postgres import SecuredPostgres

LOGIN: Final = "login:login-secret"


@pytest.fixture(scope="module")
def authority(servers_dir: Path) -> Authority:
    return Authority(servers_dir / "postgres-ca")


@pytest.fixture(scope="module")
async def secured(servers_dir: Path, authority: Authority) -> AsyncIterator[SecuredPostgres]:
    server = SecuredPostgres(authority)
    await server.start(servers_dir / "secured")
    try:
        connection = await connect(DatabaseSettings(database_url=server.url))
        await connection.execute("CREATE ROLE login LOGIN SUPERUSER PASSWORD 'login-secret'")
        await connection.execute("CREATE ROLE certificate LOGIN SUPERUSER")
        await connection.close()
        yield server
    finally:
        await server.stop()


def url(server: SecuredPostgres, who: str, parameters: Mapping[str, object], host: str = "127.0.0.1") -> str:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"postgresql://{who}@{host}:{server.port}/offers?{query}"


def verifying(authority: Authority) -> dict[str, object]:
    return {"sslmode": "verify-full", "sslrootcert": authority.ca}


def by_certificate(server: SecuredPostgres, authority: Authority) -> str:
    mine = authority.issue("certificate")
    files = {"sslcert": mine.certificate, "sslkey": mine.key}
    return url(server, "certificate", verifying(authority) | files)


def run(monkeypatch: pytest.MonkeyPatch, command: str, database_url: str) -> int:
    """Run `offers COMMAND` in this process; its exit code."""
    monkeypatch.setenv("OFFERS_DATABASE_URL", database_url)
    monkeypatch.setattr(sys, "argv", ["offers", command])
    with pytest.raises(SystemExit) as ended:
        deploy.cli.main()
    return int(ended.value.code or 0)


def test_migrations_and_queries_verify_the_server(
    secured: SecuredPostgres, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = url(secured, LOGIN, verifying(authority))
    assert run(monkeypatch, "migrate", verified) == 0
    assert run(monkeypatch, "verify", verified) == 0
    assert run(monkeypatch, "migrate", by_certificate(secured, authority)) == 0


@pytest.mark.parametrize("command", ["migrate", "verify"])
def test_who_is_not_let_in_or_does_not_trust_the_server_is_told_in_one_line(
    secured: SecuredPostgres,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    command: str,
) -> None:
    full = verifying(authority)
    for wrong, reason in (
        (url(secured, LOGIN, full | {"sslrootcert": Authority(tmp_path / "other").ca}), "certificate"),
        (url(secured, LOGIN, full, "localhost"), "localhost"),
        (url(secured, "login:wrong", full), "password authentication failed"),
        (url(secured, "certificate", full), "certificate"),
        (url(secured, LOGIN, {"sslmode": "disable"}), "no encryption"),
        (url(secured, LOGIN, full | {"sslrootcert": tmp_path / "none.pem"}), "No such file|does not exist"),
    ):
        assert run(monkeypatch, command, wrong) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: OFFERS_DATABASE_URL: PostgreSQL can't be reached: ")
        assert any(each in line for each in reason.split("|")), line
        assert "secret" not in line


async def test_a_client_certificate_is_a_login(secured: SecuredPostgres, authority: Authority) -> None:
    connection = await connect(DatabaseSettings(database_url=by_certificate(secured, authority)))
    query = "SELECT current_user || ' ' || ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert await connection.fetchval(query) == "certificate true"
    await connection.close()


async def test_a_certificate_that_expires_shows_in_readiness_until_it_is_renewed(
    secured: SecuredPostgres, authority: Authority
) -> None:
    async def kafka() -> None:
        return None

    verified = url(secured, LOGIN, verifying(authority))
    settings = DatabaseSettings(database_url=verified)
    async with create_pool(settings, "test") as pool:
        health = Health(pool, kafka, login=login_probe(settings, every_s=0))
        assert await health.missing() == []
        secured.present(authority.issue("postgres", expired=True))
        await pool.execute("SELECT pg_reload_conf()")

        async def told() -> bool:
            (text,) = await health.missing() or [""]
            return text.endswith("the server's certificate has expired: certificate has expired")

        await until_true(told, "new connections are refused, though the pool's go on")
        assert await pool.fetchval("SELECT 1") == 1
        secured.present(authority.issue("postgres"))
        await pool.execute("SELECT pg_reload_conf()")

        async def well() -> bool:
            return await health.missing() == []

        await until_true(well, "all is well again")
