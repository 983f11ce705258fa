"""Offers and their rules over HTTP: read, write, publish and preview."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from services.admin import editing, overview, store
from services.admin.access import Access
from services.admin.changes import Action
from services.admin.models import (
    Member,
    MemberPage,
    Offer,
    OfferDraft,
    OfferEdit,
    OfferPage,
    Preview,
    PreviewResult,
    Status,
    Transition,
)
from services.admin.reach import Reach
from services.admin.requests import IfMatch, etag, explain_refusal, granted, stated_version
from shared.database import Pool
from shared.events.fields import Text
from shared.http.problems import FieldError, documented, invalid, refuse
from shared.outbox import OutboxRelay
from shared.rules import json_schema
from shared.security import Caller, Role

_DENIED = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_INVALID = documented(HTTPStatus.UNPROCESSABLE_ENTITY)
_READ_ONE = documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
_CREATE = documented(HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
_CHANGE = _READ_ONE | _CREATE


def reading_routes(pool: Pool, access: Access) -> APIRouter:
    """What viewers may ask of offers."""
    routes = APIRouter(tags=["offers"], dependencies=[Depends(access.caller(Role.viewer))], responses=_DENIED)

    @routes.get("/api/offers", responses=_INVALID, operation_id="list_offers")
    async def list_offers(
        status: Status | None = None,
        q: Annotated[Text | None, Query(description="part of a code or title, in any case")] = None,
        after: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> OfferPage:
        """Offers, newest first, a page at a time."""
        found = await store.list_offers(pool, status, q, after, limit + 1)
        return OfferPage(items=found[:limit], next=found[limit - 1].id if len(found) > limit else None)

    @routes.get("/api/offers/{offer_id}", responses=_READ_ONE, operation_id="get_offer")
    async def get_offer(offer_id: UUID, response: Response) -> Offer:
        """One offer with its products, allowed users and roles, and rules."""
        offer = await store.load_offer(pool, offer_id)
        if offer is None:
            explain_refusal(editing.OfferNotFound())
        response.headers["ETag"] = etag(offer)
        return offer

    @routes.get("/api/offers/{offer_id}/members", responses=_READ_ONE, operation_id="list_members")
    async def list_members(
        offer_id: UUID,
        after: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    ) -> MemberPage:
        """The users in an offer's segment by id, a page at a time."""
        found = await store.list_members(pool, offer_id, after, limit + 1)
        if found is None:
            explain_refusal(editing.OfferNotFound())
        return MemberPage(items=found[:limit], next=found[limit - 1].user_id if len(found) > limit else None)

    @routes.get("/api/offers/{offer_id}/members/{user_id}", responses=_READ_ONE, operation_id="find_member")
    async def find_member(offer_id: UUID, user_id: UUID) -> Member:
        """One user's membership of an offer; a problem where there is none now."""
        found = await overview.find_member(pool, offer_id, user_id)
        if found is None:
            refuse(HTTPStatus.NOT_FOUND, "the user is no member of this offer now, or there is no such offer")
        return found

    @routes.get("/api/schemas/eligibility-rule", operation_id="rule_schema")
    async def rule_schema() -> dict[str, Any]:
        """The JSON Schema of a rule, one branch a rule_type."""
        return json_schema()

    return routes


def preview_routes(access: Access, reach: Reach) -> APIRouter:
    """Trying out rules, which any viewer may: nothing is stored."""
    routes = APIRouter(tags=["offers"], dependencies=[Depends(access.caller(Role.viewer))], responses=_DENIED)
    outcomes = documented(HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE) | _INVALID

    @routes.post("/api/offers/preview", responses=outcomes, operation_id="preview")
    async def preview(wanted: Preview) -> PreviewResult:
        """How many of the known users an unsaved rule set matches now, and the first of them."""
        return await reach.preview(wanted)

    return routes


def writing_routes(pool: Pool, access: Access, relay: OutboxRelay) -> APIRouter:
    """What editors may do to offers."""
    needed = access.caller(Role.editor)
    routes = APIRouter(tags=["offers"], dependencies=[Depends(needed)], responses=_DENIED)
    Editor = Annotated[Caller, Depends(needed)]

    @routes.post("/api/offers", status_code=HTTPStatus.CREATED, responses=_CREATE, operation_id="create_offer")
    async def create_offer(draft: OfferDraft, editor: Editor, response: Response) -> Offer:
        """Store a new draft."""
        offer = granted(await editing.create_offer(pool, draft, editor))
        response.headers["Location"] = f"/api/offers/{offer.id}"
        return _written(offer, relay, response)

    @routes.put("/api/offers/{offer_id}", responses=_CHANGE, operation_id="replace_offer")
    async def replace_offer(
        offer_id: UUID, edit: OfferEdit, editor: Editor, response: Response, if_match: IfMatch = None
    ) -> Offer:
        """Replace an offer: what is left out takes its default. The version it was made from must be stated."""
        version = stated_version(edit.version, if_match)
        if version is None:
            raise invalid(FieldError(field="version", message="is needed, here or as the If-Match header"))
        outcome = await editing.replace_offer(pool, offer_id, edit, version, editor)
        return _written(granted(outcome), relay, response)

    async def change_status(
        action: Action, offer_id: UUID, guard: Transition | None, if_match: str | None, editor: Caller, to: Response
    ) -> Offer:
        version = stated_version(guard.version if guard else None, if_match)
        outcome = await editing.change_status(pool, offer_id, action, version, editor)
        return _written(granted(outcome), relay, to)

    @routes.post("/api/offers/{offer_id}/publish", responses=_CHANGE, operation_id="publish_offer")
    async def publish(
        offer_id: UUID, editor: Editor, response: Response, guard: Transition | None = None, if_match: IfMatch = None
    ) -> Offer:
        """Make a draft or paused offer active."""
        return await change_status("publish", offer_id, guard, if_match, editor, response)

    @routes.post("/api/offers/{offer_id}/pause", responses=_CHANGE, operation_id="pause_offer")
    async def pause(
        offer_id: UUID, editor: Editor, response: Response, guard: Transition | None = None, if_match: IfMatch = None
    ) -> Offer:
        """Stop an active offer for now."""
        return await change_status("pause", offer_id, guard, if_match, editor, response)

    @routes.post("/api/offers/{offer_id}/archive", responses=_CHANGE, operation_id="archive_offer")
    async def archive(
        offer_id: UUID, editor: Editor, response: Response, guard: Transition | None = None, if_match: IfMatch = None
    ) -> Offer:
        """End an offer for good."""
        return await change_status("archive", offer_id, guard, if_match, editor, response)

    return routes


def _written(offer: Offer, relay: OutboxRelay, response: Response) -> Offer:
    relay.wake()
    response.headers["ETag"] = etag(offer)
    return offer
