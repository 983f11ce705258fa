"""An offer's overview: its terms in plain words, and what comes of it, live."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from services.admin.editing import OfferNotFound
from services.admin.insight.store import load_insight
from services.admin.judging import operator_names
from services.admin.overview import Overview, load_overview
from services.admin.pages.rendering import Pages
from services.admin.phrases import counted
from services.admin.requests import explain_refusal
from services.admin.wording import (
    audience_text,
    discount_text,
    limits_text,
    rule_sentence,
    window_text,
)
from shared.security import Caller, Role

PERIODS: Final = {24: "24 hours", 168: "7 days", 720: "30 days", 2160: "90 days"}
"""How far back the charts may look, in hours."""


def insight_pages(pages: Pages) -> APIRouter:
    """What viewers see of one offer."""
    routes = APIRouter(include_in_schema=False)
    Viewer = Annotated[Caller, Depends(pages.access.caller(Role.viewer))]

    @routes.get("/offers/{offer_id}")
    async def overview(
        request: Request, offer_id: UUID, caller: Viewer, hours: Annotated[int, Query(ge=1)] = 168
    ) -> HTMLResponse:
        period = hours if hours in PERIODS else 168
        offer = await load_overview(pages.pool, offer_id)
        insight = await load_insight(pages.pool, offer_id, period)
        if offer is None or insight is None:
            explain_refusal(OfferNotFound())
        operators = await operator_names(pages.pool)
        return pages.render(
            request,
            caller,
            "insight/overview.html",
            offer=offer,
            insight=insight,
            periods=PERIODS,
            terms=_terms(offer),
            rules=[rule_sentence(rule.rule_type, rule.params, operators) for rule in offer.rules],
        )

    return routes


def _terms(offer: Overview) -> dict[str, str]:
    """The terms in plain words, by what they are about."""
    terms = {
        "Discount": discount_text(offer.discount_type, offer.discount_value),
        "Products": "every product" if offer.apply_to == "all" else counted(offer.products_total, "chosen product"),
        "When": window_text(offer.starts_at, offer.ends_at),
        "How often": limits_text(offer.per_user_limit, offer.total_usage_limit),
        "For whom": audience_text(offer.allow_all, offer.allowed_users_total, offer.allowed_roles),
    }
    return {about: text[0].upper() + text[1:] for about, text in terms.items()}
