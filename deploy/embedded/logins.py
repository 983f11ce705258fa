"""A database login for each service, with the rights of the service's role and a new password at every start."""

import secrets
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from shared.database import Connection
from shared.sqlfile import load_queries

GROUP: Final = "offers_"
LOGIN: Final = "offers_up_"

_queries = load_queries(__file__, "logins.sql")


async def create_logins(connection: Connection, owner_url: str, services: Iterable[str]) -> dict[str, str]:
    """Make each service's login, or give it a new password; the database's URL for each. Needs the migrations."""
    urls = {}
    for service in services:
        login, password = LOGIN + service, secrets.token_hex(16)
        known = await connection.fetchval(_queries.find_login, login)
        define = _queries.change_password if known else _queries.create_login
        await connection.execute(await connection.fetchval(define, login, password))
        await connection.execute(await connection.fetchval(_queries.join_group, login, GROUP + service))
        place = urlsplit(owner_url)
        urls[service] = place._replace(netloc=f"{login}:{password}@{place.hostname}:{place.port}").geturl()
    return urls
