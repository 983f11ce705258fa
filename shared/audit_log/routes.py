"""The audit log over HTTP: pages of events, and exports of any size, at the addresses a service gives them."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from shared.audit_log.exporting import CSV, NDJSON, Readers, exported
from shared.audit_log.reading import find_page
from shared.audit_log.records import Filters
from shared.audit_log.views import AuditPage, EventFilters, ExportQuery, PageQuery, RecordedEvent, page_json
from shared.http.problems import documented
from shared.named_ids import redemption_id_of

EntitiesOf = Callable[[UUID], Awaitable[tuple[UUID, ...]]]
"""The entities that a request is about."""


async def entities_of_request(request_id: UUID) -> tuple[UUID, ...]:
    """The request itself, and the redemption it made if it was accepted."""
    return request_id, redemption_id_of(request_id)


async def wanted(query: EventFilters, entities_of: EntitiesOf) -> Filters:
    """The query's filters for the database."""
    return query.filters(await entities_of(query.request_id) if query.request_id else None)


def log_routes(readers: Readers, address: str, caller: Any, entities_of: EntitiesOf = entities_of_request) -> APIRouter:
    """GET `address` and `address`/export, for those whom the dependency `caller` lets in."""
    denied = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    routes = APIRouter(tags=["audit"], dependencies=[Depends(caller)], responses=denied)
    invalid = documented(HTTPStatus.UNPROCESSABLE_ENTITY)
    busy = documented(HTTPStatus.SERVICE_UNAVAILABLE)

    @routes.get(address, response_model=AuditPage, responses=invalid, operation_id="find_events")
    async def find_events(query: Annotated[PageQuery, Query()]) -> Response:
        """Events that pass every filter given, newest first, a page at a time."""
        filters = await wanted(query, entities_of)
        async with readers.pool.acquire() as connection:
            events = await find_page(connection, filters, query.after, query.limit + 1)
        return Response(page_json(events, query.limit), media_type="application/json")

    @routes.get(
        f"{address}/export",
        response_class=StreamingResponse,
        responses={200: {"model": RecordedEvent, "content": {NDJSON: {}, CSV: {}}}, **invalid, **busy},
        operation_id="export_events",
    )
    async def export_events(query: Annotated[ExportQuery, Query()]) -> StreamingResponse:
        """All events that pass every filter given, newest first, as of now, one a line: as JSON objects, or as CSV
        with a header."""
        return await exported(readers, await wanted(query, entities_of), query.format)

    return routes
