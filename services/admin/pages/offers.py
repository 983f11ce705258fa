"""The list of offers: search and filters in the address, a page at a time."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BeforeValidator

from services.admin.listing import Filters, Members, Usage, When, count_offers, list_page
from services.admin.models import Status
from services.admin.pages.rendering import Pages
from services.admin.wording import discount_text
from shared.clock import utc_now
from shared.events.fields import Text
from shared.security import Caller, Role

PAGE_OFFERS: Final = 50
CHOICES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "status": (
        "Status",
        {"draft": "Draft", "active": "Active", "paused": "Paused", "archived": "Archived"},
    ),
    "when": (
        "Time",
        {
            "running": "Running now",
            "ending": "Ending within 7 days",
            "scheduled": "Not started yet",
            "ended": "Past its end",
        },
    ),
    "usage": ("Use", {"unused": "Never used", "nearly": "80 % used or more", "used_up": "Used up"}),
    "members": ("Members", {"some": "With members", "none": "Without members"}),
}
"""The filters' labels and choices, as the form shows them."""


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Blank: Final = BeforeValidator(_blank_is_none)
Searched = Annotated[Text | None, Blank]
OneStatus = Annotated[Status | None, Blank]
OneWhen = Annotated[When | None, Blank]
OneUsage = Annotated[Usage | None, Blank]
SomeMembers = Annotated[Members | None, Blank]


def offer_routes(pages: Pages) -> APIRouter:
    """What viewers see first."""
    routes = APIRouter(include_in_schema=False)
    Viewer = Annotated[Caller, Depends(pages.access.caller(Role.viewer))]

    @routes.get("/")
    async def home(_: Viewer) -> RedirectResponse:
        return RedirectResponse("/offers")

    @routes.get("/offers")
    async def list_offers(
        request: Request,
        caller: Viewer,
        q: Searched = None,
        status: OneStatus = None,
        when: OneWhen = None,
        usage: OneUsage = None,
        members: SomeMembers = None,
        after: Annotated[UUID | None, Query()] = None,
    ) -> HTMLResponse:
        filters = Filters(q.strip() if q else None, status, when, usage, members)
        found = await list_page(pages.pool, filters, after, PAGE_OFFERS + 1)
        offers = found[:PAGE_OFFERS]
        values: dict[str, Any] = {
            "offers": offers,
            "given": filters.given(),
            "is_more_of_the_list": after is not None,
            "is_part": _wants_a_part(request),
            "more": _address(filters, offers[-1].id) if len(found) > PAGE_OFFERS else None,
            "now": utc_now(),
            "discount_text": discount_text,
        }
        if values["is_part"]:
            template = "offers/_rows.html" if after else "offers/_found.html"
            response = pages.render(request, caller, template, **values)
            if not after:
                response.headers["HX-Push-Url"] = _address(filters)
            return response
        counts = await count_offers(pages.pool)
        return pages.render(request, caller, "offers/list.html", choices=CHOICES, counts=counts, **values)

    return routes


def _wants_a_part(request: Request) -> bool:
    """Whether the page is there already; going back to it in the history asks for all of it."""
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers


def _address(filters: Filters, after: UUID | None = None) -> str:
    query = filters.given() | ({"after": str(after)} if after else {})
    return f"/offers?{urlencode(query)}" if query else "/offers"
