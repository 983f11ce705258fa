"""Rows in PostgreSQL's own binary form, out of a query and into a COPY: the client does nothing but hand on bytes."""

from collections.abc import AsyncIterator
from io import BytesIO

from shared.database import Connection


async def encoded(connection: Connection, query: str, start: int, end: int) -> bytes:
    """What COPY takes of a query's rows; its arguments are the first row's number and that after the last."""
    found = BytesIO()
    await connection.copy_from_query(query, start, end, output=found, format="binary")
    return found.getvalue()


async def store(connection: Connection, table: str, rows: bytes) -> None:
    """COPY encoded rows into a table."""
    await connection.copy_to_table(table, source=_once(rows), format="binary")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
