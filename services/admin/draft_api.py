"""Drafts over HTTP: edit, undo, compare, publish; and the versions an offer had."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Literal, NoReturn
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from services.admin import drafts, publishing, store
from services.admin.access import Access
from services.admin.content import content_of
from services.admin.difference import differences
from services.admin.draft_models import (
    Change,
    DraftChanges,
    DraftEdit,
    DraftRevision,
    DraftView,
    Publication,
    Rebased,
    VersionPage,
    VersionView,
)
from services.admin.drafts import Draft, DraftChanged, find_draft
from services.admin.editing import OfferNotFound
from services.admin.judging import operator_names
from services.admin.models import INTEGER_MAX, Offer, OfferDraft
from services.admin.publishing import ReachNotConfirmed
from services.admin.reach import Reach
from services.admin.requests import etag, explain_refusal, granted, wrong_fields
from services.admin.versions import find_version, list_versions
from shared.database import Pool
from shared.http.problems import FieldError, documented, refuse
from shared.outbox import OutboxRelay
from shared.security import Caller, Role

_DENIED = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_ONE = documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
_WRITE = _ONE | documented(HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT)
_COUNT = _WRITE | documented(HTTPStatus.SERVICE_UNAVAILABLE)
VersionNumber = Annotated[int, Query(ge=1, le=INTEGER_MAX)]


def draft_routes(pool: Pool, access: Access, reach: Reach, relay: OutboxRelay, confirm_percent: int) -> APIRouter:
    """What editors may do to drafts: everybody has one of their own for each offer."""
    needed = access.caller(Role.editor)
    routes = APIRouter(tags=["drafts"], dependencies=[Depends(needed)], responses=_DENIED)
    Editor = Annotated[Caller, Depends(needed)]

    @routes.get("/api/offers/{offer_id}/draft", responses=_ONE, operation_id="get_draft")
    async def get_draft(offer_id: UUID, editor: Editor) -> DraftView:
        """The caller's draft; where there is none, what it would begin as."""
        return _view(_found(await find_draft(pool, offer_id, editor.name)))

    @routes.put("/api/offers/{offer_id}/draft", responses=_WRITE, operation_id="save_draft")
    async def save_draft(offer_id: UUID, edit: DraftEdit, editor: Editor) -> DraftView:
        """Save a draft, valid or not. Fields left out stay as they are."""
        before = _found(await find_draft(pool, offer_id, editor.name))
        content = before.content | edit.content.stated()
        saved = _found(await drafts.save_draft(pool, offer_id, editor.name, edit.revision, content, edit.base_version))
        if edit.allowed_users is not None:
            users = edit.allowed_users
            saved = _found(await drafts.save_users(pool, offer_id, editor.name, saved.revision, users))
        return _view(saved)

    @routes.post("/api/offers/{offer_id}/draft/{direction}", responses=_WRITE, operation_id="step_draft")
    async def step_draft(
        offer_id: UUID, direction: Literal["undo", "redo"], known: DraftRevision, editor: Editor
    ) -> DraftView:
        """Undo the newest step of the draft, or redo the one undone last; nothing happens where there is none."""
        forward = direction == "redo"
        return _view(_found(await drafts.step(pool, offer_id, editor.name, known.revision, forward=forward)))

    @routes.delete(
        "/api/offers/{offer_id}/draft",
        status_code=HTTPStatus.NO_CONTENT,
        responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY),
        operation_id="discard_draft",
    )
    async def discard_draft(offer_id: UUID, editor: Editor) -> Response:
        """Forget the caller's draft, if there is one."""
        await store.delete_draft(pool, offer_id, editor.name)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @routes.post("/api/offers/{offer_id}/rebase-draft", responses=_WRITE, operation_id="rebase_draft")
    async def rebase_draft(offer_id: UUID, known: DraftRevision, editor: Editor) -> Rebased:
        """Put the draft's edits on top of the offer as it is now."""
        outcome = await drafts.rebase(pool, offer_id, editor.name, known.revision)
        match outcome:
            case (Draft() as draft, conflicts):
                return Rebased(**dict(_view(draft)), conflicts=conflicts)
            case DraftChanged() | OfferNotFound():
                return _refused(outcome)

    @routes.get("/api/offers/{offer_id}/draft/changes", responses=_COUNT, operation_id="compare_draft")
    async def compare_draft(
        offer_id: UUID, editor: Editor, sample: Annotated[int, Query(ge=0, le=1_000)] = 20
    ) -> DraftChanges:
        """What publishing the draft would change, and who would enter and leave."""
        draft = _found(await find_draft(pool, offer_id, editor.name))
        checked = _checked(draft)
        found = await reach.preview(publishing.wanted(draft, checked, sample))
        assert found.comparison is not None, "it was asked for"
        told = differences(content_of(draft.offer), content_of(checked), await operator_names(pool))
        return DraftChanges(
            changes=[Change(**asdict(difference)) for difference in told],
            matching=found.matching,
            total_users=found.total_users,
            comparison=found.comparison,
            must_confirm=publishing.must_confirm(found, confirm_percent),
        )

    @routes.post("/api/offers/{offer_id}/publish-draft", responses=_COUNT, operation_id="publish_draft")
    async def publish_draft(offer_id: UUID, wanted: Publication, editor: Editor, response: Response) -> Offer:
        """Make the offer what the draft says, all or nothing, and forget the draft."""
        outcome = await publishing.publish(
            pool,
            reach,
            offer_id,
            editor,
            revision=wanted.revision,
            version=wanted.version,
            activate=wanted.activate,
            confirm_percent=None if wanted.confirm_reach else confirm_percent,
        )
        match outcome:
            case ReachNotConfirmed(matching, total):
                told = f"it would reach {matching} of {total} users: say confirm_reach if that is meant"
                refuse(HTTPStatus.CONFLICT, told, type="urn:offers:problem:reach-not-confirmed")
            case DraftChanged():
                return _refused(outcome)
            case list():
                raise wrong_fields(outcome)
            case _:
                offer = granted(outcome)
        relay.wake()
        response.headers["ETag"] = etag(offer)
        return offer

    @routes.post(
        "/api/offers/{offer_id}/duplicate",
        status_code=HTTPStatus.CREATED,
        responses=_WRITE,
        operation_id="duplicate_offer",
    )
    async def duplicate_offer(offer_id: UUID, editor: Editor, response: Response) -> Offer:
        """Begin an offer that is like this one, under a code of its own."""
        outcome = await publishing.duplicate(pool, offer_id, editor)
        if isinstance(outcome, list):
            raise wrong_fields(outcome)
        offer = granted(outcome)
        relay.wake()
        response.headers["Location"] = f"/api/offers/{offer.id}"
        response.headers["ETag"] = etag(offer)
        return offer

    return routes


def version_routes(pool: Pool, access: Access) -> APIRouter:
    """The versions an offer had: viewers read them, editors return to one."""
    routes = APIRouter(tags=["drafts"], responses=_DENIED)
    needed = access.caller(Role.editor)

    @routes.get(
        "/api/offers/{offer_id}/versions",
        dependencies=[Depends(access.caller(Role.viewer))],
        responses=_ONE,
        operation_id="list_versions",
    )
    async def versions(
        offer_id: UUID, before: VersionNumber | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 50
    ) -> VersionPage:
        """The offer's versions, newest first, a page at a time."""
        found = await list_versions(pool, offer_id, before, limit + 1)
        if not found and await store.load_offer(pool, offer_id) is None:
            explain_refusal(OfferNotFound())
        following = found[limit - 1].version if len(found) > limit else None
        return VersionPage(items=[VersionView(**asdict(version)) for version in found[:limit]], next=following)

    @routes.post("/api/offers/{offer_id}/versions/{version}/revert", responses=_WRITE, operation_id="revert_offer")
    async def revert(
        offer_id: UUID, version: int, known: DraftRevision, editor: Annotated[Caller, Depends(needed)]
    ) -> DraftView:
        """Make the caller's draft what the offer was at a version, but for its code and chosen users."""
        kept = await find_version(pool, offer_id, version) if 0 < version <= INTEGER_MAX else None
        if kept is None:
            refuse(HTTPStatus.NOT_FOUND, "there is no such version")
        draft = _found(await find_draft(pool, offer_id, editor.name))
        content = kept.content_for(draft.offer)
        return _view(_found(await drafts.save_draft(pool, offer_id, editor.name, known.revision, content)))

    return routes


def _view(draft: Draft) -> DraftView:
    checked = draft.checked()
    problems = [] if isinstance(checked, OfferDraft) else checked
    return DraftView(
        offer_id=draft.offer.id,
        version=draft.offer.version,
        base_version=draft.base_version,
        stale=draft.is_stale,
        revision=draft.revision,
        content=draft.content,
        allowed_users=draft.allowed_users,
        problems=[FieldError(field=problem.field, message=problem.message) for problem in problems],
        can_undo=draft.can_undo,
        can_redo=draft.can_redo,
        updated_at=draft.updated_at,
    )


def _found(outcome: drafts.Outcome) -> Draft:
    return outcome if isinstance(outcome, Draft) else _refused(outcome)


def _refused(outcome: DraftChanged | OfferNotFound) -> NoReturn:
    if isinstance(outcome, DraftChanged):
        told = f"the draft has revision {outcome.current} by now, not {outcome.stated}: read it again"
        refuse(HTTPStatus.CONFLICT, told, type="urn:offers:problem:draft-changed")
    explain_refusal(outcome)


def _checked(draft: Draft) -> OfferDraft:
    checked = draft.checked()
    if isinstance(checked, OfferDraft):
        return checked
    raise wrong_fields(checked)
