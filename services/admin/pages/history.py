"""The past, readable: of everything with filters, of one offer, and what was decided on one request."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from services.admin import history, store
from services.admin.audit_wording import decision_facts, judged_rules, terms_then, type_text
from services.admin.editing import OfferNotFound
from services.admin.pages.entered import Entered, entered_id, entered_moment
from services.admin.pages.rendering import Pages
from services.admin.requests import explain_refusal
from shared.audit_log.views import PageQuery
from shared.events.audit_events import AuditType
from shared.events.fields import rfc3339
from shared.http.problems import refuse
from shared.security import Caller, Role

ENTRIES_SHOWN: Final = 25
FIELDS: Final = ("offer_id", "user_id", "request_id", "entity_id", "type", "actor", "from", "to")
TYPES: Final = [(kind, type_text(kind)) for kind in get_args(AuditType)]


@dataclass(frozen=True, slots=True)
class AskedFor:
    """The filters as typed, and what they mean to the API; None where one of them is wrong."""

    fields: dict[str, Entered[Any]]
    parameters: dict[str, str] | None


def history_pages(pages: Pages) -> APIRouter:
    """What viewers see of the past."""
    routes = APIRouter(include_in_schema=False)
    Viewer = Annotated[Caller, Depends(pages.access.caller(Role.viewer))]

    @routes.get("/audit")
    async def audit(request: Request, caller: Viewer) -> HTMLResponse:
        asked = await _asked_for(pages, request.query_params)
        known: dict[str, Any] = {"fields": asked.fields, "types": TYPES, "page": None}
        if asked.parameters is not None:
            known |= await _entries(pages, asked.parameters)
        return pages.render(request, caller, "audit/index.html", **known)

    @routes.get("/audit/entries")
    async def more_entries(request: Request, caller: Viewer, query: Annotated[PageQuery, Query()]) -> HTMLResponse:
        given = {name: value for name, value in request.query_params.items() if name != "after"}
        known = await _entries(pages, given, query)
        return pages.render(request, caller, "audit/_entries.html", **known)

    @routes.get("/offers/{offer_id}/history")
    async def offer_history(
        request: Request, caller: Viewer, offer_id: UUID, show: Literal["changes", "all"] = "changes"
    ) -> HTMLResponse:
        offer = await store.load_offer(pages.pool, offer_id) or explain_refusal(OfferNotFound())
        name = "entity_id" if show == "changes" else "offer_id"
        known = await _entries(pages, {name: str(offer_id)})
        return pages.render(request, caller, "offers/history.html", offer=offer, show=show, **known)

    @routes.get("/requests/{request_id}")
    async def decision(request: Request, caller: Viewer, request_id: UUID) -> HTMLResponse:
        found = await history.find_decision(pages.pool, request_id)
        if found is None:
            refuse(HTTPStatus.NOT_FOUND, "no decision on this request is known: it was never made, or too long ago")
        known = await _entries(pages, {"request_id": str(request_id)})
        return pages.render(
            request,
            caller,
            "audit/request.html",
            decision=found,
            facts=decision_facts(found.request, found.reply, found.inputs),
            terms=terms_then(found.offer) if found.offer else None,
            rules=judged_rules(found.reply),
            **known,
        )

    return routes


async def _entries(pages: Pages, parameters: Mapping[str, str], query: PageQuery | None = None) -> dict[str, Any]:
    """The entries that the API finds by these parameters, and the addresses of the rest and of exports."""
    asked = query or PageQuery.model_validate(dict(parameters))
    entities = await history.entities_of(pages.pool, asked.request_id) if asked.request_id else None
    page = await history.load_entries(pages.pool, asked.filters(entities), asked.after, ENTRIES_SHOWN)
    return {"page": page, "parameters": urlencode(parameters)}


async def _asked_for(pages: Pages, given: Mapping[str, str]) -> AskedFor:
    """The filters of the form. An offer may be named by its code."""
    ids = ("user_id", "request_id", "entity_id")
    fields: dict[str, Entered[Any]] = {name: entered_id(given.get(name, "")) for name in ids}
    fields["offer_id"] = await _offer(pages, given.get("offer_id", ""))
    fields |= {name: entered_moment(given.get(name, "")) for name in ("from", "to")}
    fields["type"] = _type(given.get("type", ""))
    fields["actor"] = _actor(given.get("actor", ""))
    if any(field.error for field in fields.values()):
        return AskedFor(fields, None)
    values: dict[str, Any] = {name: fields[name].value for name in FIELDS if fields[name].value is not None}
    parameters = {name: rfc3339(value) if name in ("from", "to") else str(value) for name, value in values.items()}
    return AskedFor(fields, parameters)


async def _offer(pages: Pages, text: str) -> Entered[UUID]:
    entered = entered_id(text)
    if entered.error is None:
        return entered
    found = await history.find_offer_id(pages.pool, entered.text) if "\0" not in entered.text else None
    return Entered(entered.text, found, None if found else "There is no offer with this code or id")


def _type(text: str) -> Entered[str]:
    if not text or text in get_args(AuditType):
        return Entered(text, text or None)
    return Entered("", error="There is no such type")


def _actor(text: str) -> Entered[str]:
    actor = text.strip()
    if not actor:
        return Entered("")
    allowed = len(actor) <= 500 and "\0" not in actor
    return Entered(actor, actor if allowed else None, None if allowed else "This is no name")
