"""The audit log over HTTP: pages of events, an export of any size, and the verification of the chains."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPBearer

from services.audit.store import find_page, stream_events
from services.audit.verification import verifying_chains
from services.audit.views import (
    AuditPage,
    ExportQuery,
    PageQuery,
    RecordedEvent,
    Verification,
    csv_header,
    lines_csv,
    lines_json,
    page_json,
)
from shared.database import Connection, Pool
from shared.http.callers import find_caller
from shared.http.probes import Health, Probe, probe_routes
from shared.http.problems import documented, install_problems, unavailable
from shared.http.secure_headers import SecuredApi
from shared.security import Role
from shared.sessions import Sessions
from shared.subscriptions import Subscriptions

NDJSON = "application/x-ndjson"
CSV = "text/csv"
PROGRESS_ROWS = 10_000
_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


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


def create_api(
    pool: Pool,
    kafka: Probe,
    long_readings_max: int = 1,
    consumers: Subscriptions | None = None,
    sessions: Sessions | None = None,
) -> FastAPI:
    """The service's HTTP application; without `sessions`, only tokens are taken."""
    api = SecuredApi(
        title="Offers audit",
        version="1.0.0",
        description="Every decision and every change, newest first, in hash chains.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    install_problems(api)
    api.include_router(_audit_routes(Readers(pool, long_readings_max), sessions))
    api.include_router(probe_routes(Health(pool, kafka, consumers)))
    return api


def _audit_routes(readers: Readers, sessions: Sessions | None) -> APIRouter:
    async def viewer(request: Request) -> None:
        await find_caller(request, readers.pool, sessions, Role.viewer, secure=request.url.scheme == "https")

    routes = APIRouter(
        tags=["audit"],
        dependencies=[Depends(viewer), Depends(HTTPBearer(auto_error=False))],
        responses=documented(*_DENIED),
    )
    invalid = documented(HTTPStatus.UNPROCESSABLE_ENTITY)
    busy = documented(HTTPStatus.SERVICE_UNAVAILABLE)

    @routes.get("/audit", response_model=AuditPage, responses=invalid, operation_id="find_events")
    async def find_events(query: Annotated[PageQuery, Query()]) -> Response:
        """Events that pass every filter given, newest first, a page at a time."""
        async with readers.pool.acquire() as connection:
            events = await find_page(connection, query.filters(), query.after, query.limit + 1)
        return Response(page_json(events, query.limit), media_type="application/json")

    @routes.get(
        "/audit/export",
        response_class=StreamingResponse,
        responses={200: {"model": RecordedEvent, "content": {NDJSON: {}, CSV: {}}}, **invalid, **busy},
        operation_id="export_events",
    )
    async def export_events(query: Annotated[ExportQuery, Query()]) -> StreamingResponse:
        """All events that pass every filter given, newest first, as of now, one a line: as JSON objects, or as CSV
        with a header."""
        return await _streamed(_export(readers, query), CSV if query.format == "csv" else NDJSON)

    @routes.get(
        "/audit/verify",
        response_model=Verification,
        responses={200: {"content": {NDJSON: {}}}, **busy},
        operation_id="verify_chains",
    )
    async def verify(request: Request) -> Response:
        """Recompute every hash of every chain, and name the rows that don't hold. Asked for application/x-ndjson, it
        tells now and then how many rows it has read of about how many (`rows`, `rows_expected`); the last line is the
        answer."""
        lines = _verification(readers)
        if NDJSON in request.headers.get("accept", ""):
            return await _streamed(lines, NDJSON)
        return Response([line async for line in lines][-1], media_type="application/json")

    return routes


async def _export(readers: Readers, query: ExportQuery) -> AsyncGenerator[bytes]:
    async with readers.long_reading() as connection:
        yield csv_header() if query.format == "csv" else b""
        async for events in stream_events(connection, query.filters()):
            yield lines_csv(events) if query.format == "csv" else lines_json(events)


async def _verification(readers: Readers) -> AsyncGenerator[bytes]:
    async with readers.long_reading() as connection:
        yield b""
        told = 0
        async for found in verifying_chains(connection):
            if found.rows - told >= PROGRESS_ROWS:
                told = found.rows
                yield orjson.dumps({"rows": found.rows, "rows_expected": found.rows_expected}) + b"\n"
    yield Verification.of(found).model_dump_json().encode() + b"\n"


async def _streamed(lines: AsyncGenerator[bytes], media_type: str) -> StreamingResponse:
    first = await anext(lines)  # So that a refusal is a status, not a broken stream.
    return StreamingResponse(_again(first, lines), media_type=media_type)


async def _again(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        await rest.aclose()
