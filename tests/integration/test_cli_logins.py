"""`offers logins` on a real database: files that services log in with, and what becomes of them the next time."""

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from deploy.cli.operations import ServiceName
from shared.database import Pool
from tests.support.commands import offers

SERVICES = [service.value for service in ServiceName]


@pytest.fixture(autouse=True)
async def _no_logins_left(pool: Pool) -> AsyncIterator[None]:
    """Logins belong to the whole server, which other tests share."""
    yield
    for service in SERVICES:
        await pool.execute(f"DROP ROLE IF EXISTS offers_login_{service}")


def urls(folder: Path) -> dict[str, str]:
    return {service: (folder / service / "offers_database_url").read_text().strip() for service in SERVICES}


async def rights(url: str) -> tuple[str, bool]:
    """Who a URL logs in as, and whether that may change the audit log."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval("SELECT current_user::text"), await connection.fetchval(
            "SELECT has_table_privilege('audit_log', 'DELETE')"
        )
    finally:
        await connection.close()


async def test_each_service_gets_a_login_of_its_own_in_a_file_only_its_owner_reads(
    database_url: str, tmp_path: Path
) -> None:
    printed = await offers(database_url, "logins", str(tmp_path))
    assert printed.splitlines() == [f"{service}: a new password" for service in SERVICES]
    for service, url in urls(tmp_path).items():
        assert await rights(url) == (f"offers_login_{service}", False)
        assert stat.S_IMODE((tmp_path / service / "offers_database_url").stat().st_mode) == 0o600
    assert len(set(urls(tmp_path).values())) == 4


async def test_a_login_that_works_is_left_alone_and_one_that_does_not_is_made_anew(
    database_url: str, pool: Pool, tmp_path: Path
) -> None:
    await offers(database_url, "logins", str(tmp_path))
    first = urls(tmp_path)
    await pool.execute("ALTER ROLE offers_login_audit PASSWORD 'another'")
    await pool.execute("DROP ROLE offers_login_admin")
    await asyncio.to_thread((tmp_path / "segmenter" / "offers_database_url").unlink)
    printed = await offers(database_url, "logins", str(tmp_path))
    assert printed.splitlines() == [
        "redemption: its login works",
        "segmenter: a new password",
        "audit: a new password",
        "admin: a new password",
    ]
    second = urls(tmp_path)
    assert second["redemption"] == first["redemption"]
    for service, url in second.items():
        assert (await rights(url))[0] == f"offers_login_{service}"


async def test_passwords_are_renewed_when_asked_for(database_url: str, tmp_path: Path) -> None:
    await offers(database_url, "logins", str(tmp_path))
    first = urls(tmp_path)
    printed = await offers(database_url, "logins", str(tmp_path), "--renew")
    assert printed.splitlines() == [f"{service}: a new password" for service in SERVICES]
    for service in SERVICES:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(first[service])
        assert (await rights(urls(tmp_path)[service]))[0] == f"offers_login_{service}"


async def test_files_follow_the_owners_url(database_url: str, tmp_path: Path) -> None:
    """A database that has moved, or wants TLS from now on: the logins are the same, their URLs are not."""
    await offers(database_url, "logins", str(tmp_path))
    moved = f"{database_url}?application_name=moved"
    printed = await offers(moved, "logins", str(tmp_path))
    assert printed.splitlines() == [f"{service}: its login works" for service in SERVICES]
    assert all(url.endswith("?application_name=moved") for url in urls(tmp_path).values())
