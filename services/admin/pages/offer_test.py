"""Test a user against one offer, as it is or as the caller's draft would have it, now or at another date."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from services.admin import judging
from services.admin.drafts import Draft, find_draft
from services.admin.models import Audience, Offer
from services.admin.pages.entered import entered_id, entered_moment
from services.admin.pages.rendering import Pages
from services.admin.requests import explain_refusal
from services.admin.user_models import Trial, Verdict
from services.admin.wording import audience_text, rules_sentence
from shared.security import Caller, Role

Tested = Literal["published", "draft"]


def offer_test_pages(pages: Pages) -> APIRouter:
    """What viewers see of a user and an offer."""
    routes = APIRouter(include_in_schema=False)
    Viewer = Annotated[Caller, Depends(pages.access.caller(Role.viewer))]

    @routes.get("/offers/{offer_id}/test")
    async def test_offer(
        request: Request, caller: Viewer, offer_id: UUID, user: str = "", at: str = "", of: Tested = "published"
    ) -> HTMLResponse:
        draft = await find_draft(pages.pool, offer_id, caller.name)
        if not isinstance(draft, Draft):
            explain_refusal(draft)
        tested: Tested = of if draft.differs else "published"
        audience = draft.offer if tested == "published" else draft.audience()
        who, when = entered_id(user), entered_moment(at)
        known: dict[str, Any] = {"offer": draft.offer, "user": who, "at": when, "of": tested, "test": None}
        if who.value and not when.error and audience:
            known["facts"] = await judging.find_user(pages.pool, who.value)
            known["test"] = await _verdict(pages, audience, who.value, when.value)
        known["has_draft"] = draft.differs
        known["audience"] = await _in_words(pages, audience) if audience else None
        return pages.render(request, caller, "offers/test.html", **known)

    return routes


async def _verdict(pages: Pages, audience: Offer | Audience, user: UUID, at: datetime | None) -> Verdict | None:
    if isinstance(audience, Offer):
        return await judging.judge_offer(pages.pool, audience.id, user, at)
    trial = Trial.model_validate({**audience.model_dump(), "user_id": user, "at": at})
    return await judging.judge_rules(pages.pool, trial)


async def _in_words(pages: Pages, audience: Offer | Audience) -> list[str]:
    """To whom the offer is open, and its rules, in words."""
    operators = await judging.operator_names(pages.pool)
    return [
        audience_text(audience.allow_all, len(audience.allowed_users), audience.allowed_roles),
        rules_sentence(audience.eligibility_logic, audience.rules, operators),
    ]
