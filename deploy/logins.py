"""A database login for each service, with the rights of the service's role and a password that was made up."""

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from deploy.private_file import write_private
from shared.database import Connection
from shared.sqlfile import load_queries

GROUP: Final = "offers_"
LOGIN_OF_STACK: Final = "offers_up_"
LOGIN: Final = "offers_login_"
FILE: Final = "offers_database_url"
"""As OFFERS_SECRETS_DIR wants it called."""

_queries = load_queries(__file__, "logins.sql")


async def create_logins(connection: Connection, owner_url: str, services: Iterable[str]) -> dict[str, str]:
    """Make each service's login of `offers up`, or give it a new password; the database's URL for each.

    The migrations must have been run.
    """
    return {service: await _renew(connection, owner_url, LOGIN_OF_STACK + service, service) for service in services}


async def keep_logins(
    connection: Connection, owner_url: str, folder: Path, services: Iterable[str], *, renew: bool = False
) -> dict[str, bool]:
    """See that each service can log in with the URL in its subfolder's file; whether each has a new password.

    A login that works is left alone unless `renew`, since running services hold its password.
    """
    made = {}
    for service in services:
        file, login = folder / service / FILE, LOGIN + service
        working = None if renew else await _working(file, owner_url, login)
        made[service] = working is None
        write_private(file, (working or await _renew(connection, owner_url, login, service)) + "\n")
    return made


async def _working(file: Path, owner_url: str, login: str) -> str | None:
    """The URL with the file's password, if there is one and it is still right."""
    if not file.exists():
        return None
    url = _with_login(owner_url, login, urlsplit(file.read_text().strip()).password or "")
    try:
        connection = await asyncpg.connect(url)
    except asyncpg.InvalidAuthorizationSpecificationError:
        return None
    await connection.close()
    return url


async def _renew(connection: Connection, owner_url: str, login: str, service: str) -> str:
    password = secrets.token_hex(16)
    known = await connection.fetchval(_queries.find_login, login)
    define = _queries.change_password if known else _queries.create_login
    await connection.execute(await connection.fetchval(define, login, password))
    await connection.execute(await connection.fetchval(_queries.join_group, login, GROUP + service))
    return _with_login(owner_url, login, password)


def _with_login(owner_url: str, login: str, password: str) -> str:
    place = urlsplit(owner_url)
    return place._replace(netloc=f"{login}:{password}@{place.netloc.rpartition('@')[2]}").geturl()
