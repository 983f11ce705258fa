"""Test a user against all offers: what is known of them, and which they could use, now or at another date."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from services.admin import judging
from services.admin.models import Status
from services.admin.pages.entered import Entered, entered_id, entered_moment
from services.admin.pages.rendering import Pages
from services.admin.user_models import OfferTestPage
from shared.events.fields import Text
from shared.security import Caller, Role

TESTS_SHOWN: Final = 50
Wanted = Status | Literal[""]
"""The status of the offers wanted; empty: any."""


def user_pages(pages: Pages) -> APIRouter:
    """What viewers see of users."""
    routes = APIRouter(include_in_schema=False)
    Viewer = Annotated[Caller, Depends(pages.access.caller(Role.viewer))]

    @routes.get("/users")
    async def test_user(
        request: Request,
        caller: Viewer,
        user: str = "",
        at: str = "",
        status: Wanted = "",
        q: Text = "",
    ) -> HTMLResponse:
        who, when = entered_id(user), entered_moment(at)
        known: dict[str, Any] = {"user": who, "at": when, "wanted": status, "q": q, "facts": None, "tests": None}
        if who.value and not when.error:
            known["facts"] = await judging.find_user(pages.pool, who.value)
            known["tests"] = await _tests(pages, who.value, when.value, status, q, None)
            known["more"] = _more(who, when, status, q)
        return pages.render(request, caller, "users/index.html", **known)

    @routes.get("/users/offers")
    async def more_offers(
        request: Request,
        caller: Viewer,
        user: UUID,
        after: UUID,
        at: str = "",
        status: Wanted = "",
        q: Text = "",
    ) -> HTMLResponse:
        when = entered_moment(at)
        tests = await _tests(pages, user, when.value, status, q, after)
        who = Entered(str(user), user)
        known: dict[str, Any] = {"tests": tests, "user": who, "at": when, "more": _more(who, when, status, q)}
        return pages.render(request, caller, "users/_offers.html", **known)

    return routes


async def _tests(
    pages: Pages, user: UUID, at: datetime | None, status: Wanted, q: str, after: UUID | None
) -> OfferTestPage:
    return await judging.judge_page(pages.pool, user, at, status or None, q or None, after, TESTS_SHOWN)


def _more(user: Entered[UUID], at: Entered[datetime], status: str, q: str) -> str:
    """The address of the offers after those shown, but for its `after`."""
    return "/users/offers?" + urlencode({"user": user.text, "at": at.text, "status": status, "q": q})
