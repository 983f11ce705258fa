"""What came of an offer, over HTTP: its figures, their history, and a stream of events while they change."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from services.admin.access import Access
from services.admin.editing import OfferNotFound
from services.admin.insight import store
from services.admin.insight.models import Figures, Insight
from services.admin.insight.watching import Watching
from services.admin.requests import explain_refusal
from shared.database import Pool
from shared.errors import OffersError
from shared.http.problems import documented, unavailable
from shared.security import Role

HOURS_MAX: Final = 366 * 24
_DENIED: Final = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_READ_ONE: Final = documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
_STREAM_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_STREAM: Final = {
    200: {
        "description": "Events named `figures`, each with figures (see the model Figures) as JSON; comments in between",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


def insight_routes(pool: Pool, access: Access, watching: Watching) -> APIRouter:
    """What viewers may ask of an offer's figures."""
    routes = APIRouter(tags=["insight"], dependencies=[Depends(access.caller(Role.viewer))], responses=_DENIED)

    @routes.get("/api/offers/{offer_id}/insight", responses=_READ_ONE, operation_id="get_insight")
    async def get_insight(
        offer_id: UUID,
        hours: Annotated[int, Query(ge=1, le=HOURS_MAX, description="how far back; beyond 336, by the day")] = 168,
    ) -> Insight:
        """An offer's redemptions by outcome and reason, its members over time, and its totals."""
        found = await store.load_insight(pool, offer_id, hours)
        return found or explain_refusal(OfferNotFound())

    @routes.get(
        "/api/offers/{offer_id}/insight/events",
        response_class=StreamingResponse,
        responses=_STREAM | _READ_ONE | documented(HTTPStatus.SERVICE_UNAVAILABLE),
        operation_id="watch_insight",
    )
    async def watch_insight(offer_id: UUID, request: Request) -> StreamingResponse:
        """Server-sent events: the figures at once, and again whenever they change, until the login ends."""
        if await store.load_figures(pool, offer_id) is None:
            explain_refusal(OfferNotFound())
        if watching.is_full:
            raise unavailable("as many as allowed are watching figures already")

        async def may_go_on() -> bool:
            try:
                await access.find_caller(request, Role.viewer, in_use=False)
            except OffersError:
                return False
            return True

        async def events() -> AsyncGenerator[str]:
            async with aclosing(watching.watch(offer_id)) as seen:
                async for figures in seen:
                    if not await may_go_on():
                        return
                    yield ": still here\n\n" if figures is None else _event(figures)

        return StreamingResponse(events(), media_type="text/event-stream", headers=_STREAM_HEADERS)

    return routes


def _event(figures: Figures) -> str:
    return f"event: figures\ndata: {figures.model_dump_json()}\n\n"
