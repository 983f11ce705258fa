"""Streams the audit log, whatever its size, in one snapshot and bounded memory, to a few readers at once."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Literal

from fastapi.responses import StreamingResponse

from shared.audit_log.reading import stream_events
from shared.audit_log.records import Filters
from shared.audit_log.views import csv_header, lines_csv, lines_json
from shared.database import Connection, Pool
from shared.http.problems import unavailable

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"


class Readers:
    """Hands out the connections of readers, and keeps long readings from taking them all."""

    def __init__(self, pool: Pool, long_max: int) -> None:
        self.pool = pool
        self._long = asyncio.Semaphore(long_max)

    @asynccontextmanager
    async def long_reading(self) -> AsyncGenerator[Connection]:
        """A connection with one snapshot for as long as it is read from.

        Raises:
            Refused: if as many long readings as allowed are under way.
        """
        if self._long.locked():
            raise unavailable("as many exports and verifications as allowed are under way")
        async with (
            self._long,
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection


async def exported(readers: Readers, filters: Filters, format: Literal["ndjson", "csv"]) -> StreamingResponse:
    """Every event that passes, newest first, one a line.

    Raises:
        Refused: if as many long readings as allowed are under way.
    """
    response = await streamed(_export(readers, filters, format), CSV if format == "csv" else NDJSON)
    response.headers["Content-Disposition"] = f'attachment; filename="audit.{format}"'
    return response


async def _export(readers: Readers, filters: Filters, format: Literal["ndjson", "csv"]) -> AsyncGenerator[bytes]:
    async with readers.long_reading() as connection:
        yield csv_header() if format == "csv" else b""
        async for events in stream_events(connection, filters):
            yield lines_csv(events) if format == "csv" else lines_json(events)


async def streamed(lines: AsyncGenerator[bytes], media_type: str) -> StreamingResponse:
    """Lines as they come; the first is awaited, so that a refusal is a status, not a broken stream."""
    first = await anext(lines)
    return StreamingResponse(_again(first, lines), media_type=media_type)


async def _again(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        await rest.aclose()
