"""The users an offer is for: a page at a time, one looked up by id, and how far they have been computed anew."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from services.admin import store
from services.admin.editing import OfferNotFound
from services.admin.insight.models import Figures
from services.admin.insight.store import load_figures
from services.admin.models import Member
from services.admin.overview import find_member, load_overview
from services.admin.pages.rendering import Pages
from services.admin.requests import explain_refusal
from shared.events.fields import Text
from shared.security import Caller, Role

PAGE_MEMBERS: Final = 100


def member_pages(pages: Pages) -> APIRouter:
    """What viewers see of an offer's members."""
    routes = APIRouter(include_in_schema=False)
    Viewer = Annotated[Caller, Depends(pages.access.caller(Role.viewer))]

    @routes.get("/offers/{offer_id}/members")
    async def list_members(
        request: Request,
        offer_id: UUID,
        caller: Viewer,
        after: UUID | None = None,
        user_id: Annotated[Text, Query(description="one user, as typed")] = "",
    ) -> HTMLResponse:
        found = await store.list_members(pages.pool, offer_id, after, PAGE_MEMBERS + 1)
        if found is None:
            explain_refusal(OfferNotFound())
        members = found[:PAGE_MEMBERS]
        more = members[-1].user_id if len(found) > PAGE_MEMBERS else None
        if after is not None and "hx-request" in request.headers:
            return pages.render(
                request, caller, "members/_rows.html", offer_id=offer_id, members=members, more=more, continued=True
            )
        wanted, problem = _user_id(user_id)
        return pages.render(
            request,
            caller,
            "members/list.html",
            offer=await load_overview(pages.pool, offer_id),
            offer_id=offer_id,
            figures=await _figures(offer_id),
            members=members,
            more=more,
            continued=False,
            is_first=after is None,
            typed=user_id.strip(),
            wanted=wanted,
            problem=problem,
            member=await _member(offer_id, wanted),
        )

    @routes.get("/offers/{offer_id}/members/progress")
    async def progress(request: Request, offer_id: UUID, caller: Viewer) -> HTMLResponse:
        figures = await _figures(offer_id)
        return pages.render(
            request, caller, "members/_progress.html", offer_id=offer_id, figures=figures, was_rebuilding=True
        )

    async def _figures(offer_id: UUID) -> Figures:
        return await load_figures(pages.pool, offer_id) or explain_refusal(OfferNotFound())

    async def _member(offer_id: UUID, wanted: UUID | None) -> Member | None:
        return await find_member(pages.pool, offer_id, wanted) if wanted else None

    return routes


def _user_id(typed: str) -> tuple[UUID | None, str | None]:
    """The id that was typed, and what is wrong with it."""
    if not typed.strip():
        return None, None
    try:
        return UUID(typed.strip()), None
    except ValueError:
        return None, "A user's id looks like 3f2b8c1e-9d4a-4f6b-8e7d-1a2b3c4d5e6f."
