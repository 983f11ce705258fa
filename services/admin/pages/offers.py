"""The list of offers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from services.admin import store
from services.admin.pages.rendering import Pages
from shared.security import Caller, Role

PAGE_OFFERS = 50


def offer_routes(pages: Pages) -> APIRouter:
    """What viewers see first."""
    routes = APIRouter(include_in_schema=False)
    Viewer = Annotated[Caller, Depends(pages.access.caller(Role.viewer))]

    @routes.get("/")
    async def home(_: Viewer) -> RedirectResponse:
        return RedirectResponse("/offers")

    @routes.get("/offers")
    async def list_offers(request: Request, caller: Viewer) -> HTMLResponse:
        offers = await store.list_offers(pages.pool, None, None, None, PAGE_OFFERS)
        return pages.render(request, caller, "offers/list.html", offers=offers)

    return routes
