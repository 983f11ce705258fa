"""The audit log over HTTP: pages of events, an export of any size, and the verification of the chains."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPBearer

from services.audit.store import find_page, stream_events, verify_chains
from services.audit.views import (
    AuditPage,
    Broken,
    ChainEnd,
    EventFilters,
    PageQuery,
    RecordedEvent,
    Verification,
    lines_json,
    page_json,
)
from shared.database import Connection, Pool
from shared.http.probes import Health, Probe, probe_routes
from shared.http.problems import documented, install_problems, unavailable
from shared.security import Role, authenticate
from shared.subscriptions import Subscriptions

NDJSON = "application/x-ndjson"
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


def create_api(pool: Pool, kafka: Probe, long_readings_max: int = 1, consumers: Subscriptions | None = None) -> FastAPI:
    """The service's HTTP application."""
    api = FastAPI(
        title="Offers audit",
        version="1.0.0",
        description="Every decision and every change, newest first, in hash chains.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    install_problems(api)
    api.include_router(_audit_routes(Readers(pool, long_readings_max)))
    api.include_router(probe_routes(Health(pool, kafka, consumers)))
    return api


def _audit_routes(readers: Readers) -> APIRouter:
    async def viewer(request: Request) -> None:
        await authenticate(readers.pool, request.headers.get("authorization"), Role.viewer)

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
        responses={200: {"model": RecordedEvent, "content": {NDJSON: {}}}, **invalid, **busy},
        operation_id="export_events",
    )
    async def export_events(query: Annotated[EventFilters, Query()]) -> StreamingResponse:
        """All events that pass every filter given, newest first, as of now: one JSON object a line."""
        lines = _export(readers, query)
        first = await anext(lines)  # So that a refusal is a status, not a broken stream.
        return StreamingResponse(_again(first, lines), media_type=NDJSON)

    @routes.get("/audit/verify", responses=busy, operation_id="verify_chains")
    async def verify() -> Verification:
        """Recompute every hash of every chain, and name the rows that don't hold."""
        async with readers.long_reading() as connection:
            broken, heads, rows = await verify_chains(connection)
        return Verification(
            intact=not broken,
            rows=rows,
            broken=[Broken.of(link) for link in broken],
            chains=[ChainEnd.of(chain, head) for chain, head in heads.items()],
        )

    return routes


async def _export(readers: Readers, query: EventFilters) -> AsyncGenerator[bytes]:
    async with readers.long_reading() as connection:
        yield b""
        async for events in stream_events(connection, query.filters()):
            yield lines_json(events)


async def _again(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        await rest.aclose()
