"""PostgreSQL access: one pool a process, with the codecs every service relies on.

TLS, and whom to trust, are in the URL (sslmode, sslrootcert, sslcert, sslkey). Their files are read for each
connection, so one made after they were replaced uses the new ones.
"""

from typing import TYPE_CHECKING, Any, Final

import asyncpg
import orjson

from shared.settings import DatabaseSettings
from shared.tls import tls_failure

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Connection = Pool = Any

_JSONB_VERSION = b"\x01"

REFUSALS: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)
"""A login that will be refused the next time, too, unless somebody changes something."""


def _encode_jsonb(value: object) -> bytes:
    try:
        return _JSONB_VERSION + orjson.dumps(value, default=str)
    except orjson.JSONEncodeError as error:
        raise ValueError(f"no JSON: {error}") from error


def _decode_jsonb(data: bytes) -> object:
    return orjson.loads(data[1:])


async def prepare_connection(connection: Connection) -> None:
    """Let jsonb values be Python objects, in COPY as well as in queries."""
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )


async def connect(settings: DatabaseSettings) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection of its own, for a command that needs no pool."""
    connection = await asyncpg.connect(settings.database_url, server_settings={"timezone": "UTC"})
    await prepare_connection(connection)
    return connection


async def _as_it_is(connection: Connection) -> None:
    """Clean nothing: the pool itself has ended what was left open."""


def create_pool(settings: DatabaseSettings, service: str, *, leaves_nothing: bool = False) -> Pool:
    """The pool of a process, opened by `async with` or `await`.

    Sessions run in UTC and carry the service's name for operators. `leaves_nothing`: no setting, lock or cursor
    outlives a transaction, so that giving a connection back needs no query that cleans it.
    """
    return asyncpg.create_pool(
        settings.database_url,
        min_size=1,
        max_size=settings.database_pool_size_max,
        init=prepare_connection,
        reset=_as_it_is if leaves_nothing else None,
        server_settings={"timezone": "UTC", "application_name": f"offers-{service}"},
    )


def connection_failure(error: BaseException) -> str:
    """One line about why PostgreSQL can't be reached, with the setting to look at."""
    tls = tls_failure(error)
    text = tls[1] if tls is not None else " ".join(str(error).split())
    return f"OFFERS_DATABASE_URL: PostgreSQL can't be reached: {text or type(error).__name__}"


async def log_in(settings: DatabaseSettings, timeout_s: float) -> None:
    """Make a connection and close it.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: it can't be made.
    """
    connection = await asyncpg.connect(settings.database_url, timeout=timeout_s)
    await connection.close(timeout=timeout_s)
