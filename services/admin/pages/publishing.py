"""From a draft to what customers get: what would change, whom it would reach, and the button; and an offer's life."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.admin import drafts, editing, publishing, store
from services.admin.changes import Action
from services.admin.content import FieldProblem, content_of
from services.admin.difference import Difference, differences
from services.admin.drafts import Draft, DraftChanged
from services.admin.judging import operator_names
from services.admin.models import Offer, OfferDraft
from services.admin.pages.rendering import Pages
from services.admin.publishing import ReachNotConfirmed
from services.admin.requests import explain_refusal, granted, refusal_text, wrong_fields
from services.admin.versions import find_version, list_versions
from shared.http.problems import Refused, refuse
from shared.security import Caller, Role

SAMPLE: Final = 8
VERSIONS_SHOWN: Final = 50


def publishing_routes(pages: Pages) -> APIRouter:
    """What editors publish with."""
    needed = pages.access.caller(Role.editor)
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(needed)])
    Editor = Annotated[Caller, Depends(needed)]
    view = _Review(pages)

    @routes.get("/offers/{offer_id}/publish")
    async def review(request: Request, offer_id: UUID, caller: Editor) -> HTMLResponse:
        return await view.draw(request, caller, offer_id)

    @routes.get("/offers/{offer_id}/publish/reach")
    async def reach(request: Request, offer_id: UUID, caller: Editor) -> HTMLResponse:
        draft = await _draft(pages, offer_id, caller)
        checked = draft.checked()
        if not isinstance(checked, OfferDraft):
            return HTMLResponse()
        found, why = None, ""
        try:
            found = await pages.reach.preview(publishing.wanted(draft, checked, SAMPLE), wait_s_max=10)
        except Refused as refused:
            why = refused.problem.detail
        asks = found is not None and publishing.must_confirm(found, pages.reach_confirm_percent)
        return pages.render(request, caller, "publish/_reach.html", offer=draft.offer, reach=found, why=why, asks=asks)

    @routes.post("/offers/{offer_id}/publish")
    async def publish(
        request: Request,
        offer_id: UUID,
        caller: Editor,
        version: Annotated[int, Form()],
        revision: Annotated[int, Form()],
        activate: Annotated[bool, Form()] = False,
        confirm_reach: Annotated[bool, Form()] = False,
    ) -> Response:
        outcome = await publishing.publish(
            pages.pool,
            pages.reach,
            offer_id,
            caller,
            revision=revision,
            version=version,
            activate=activate,
            confirm_percent=None if confirm_reach else pages.reach_confirm_percent,
        )
        match outcome:
            case Offer():
                pages.relay.wake()
                return RedirectResponse(f"/offers/{offer_id}", HTTPStatus.SEE_OTHER)
            case ReachNotConfirmed():
                return await view.draw(request, caller, offer_id, refused="Please confirm how many users it reaches.")
            case DraftChanged():
                told = "The draft was changed in another tab: this is how it is now."
                return await view.draw(request, caller, offer_id, refused=told)
            case list():
                return await view.draw(request, caller, offer_id, refused="Some fields are wrong.")
            case _:
                return await view.draw(request, caller, offer_id, refused=refusal_text(outcome))

    @routes.post("/offers/{offer_id}/draft/rebase")
    async def rebase(
        request: Request, offer_id: UUID, caller: Editor, revision: Annotated[int, Form()]
    ) -> HTMLResponse:
        outcome = await drafts.rebase(pages.pool, offer_id, caller.name, revision)
        match outcome:
            case (Draft(), conflicts):
                return await view.draw(request, caller, offer_id, conflicts=conflicts)
            case DraftChanged():
                told = "The draft was changed in another tab: this is how it is now."
                return await view.draw(request, caller, offer_id, refused=told)
            case other:
                return explain_refusal(other)

    @routes.get("/offers/{offer_id}/versions")
    async def versions(request: Request, offer_id: UUID, caller: Editor, before: int | None = None) -> HTMLResponse:
        offer = await store.load_offer(pages.pool, offer_id) or explain_refusal(editing.OfferNotFound())
        found = await list_versions(pages.pool, offer_id, before, VERSIONS_SHOWN + 1)
        operators = await operator_names(pages.pool)
        older = found[1:]
        shown = [
            (new, differences(old.content, new.content, operators) if old else None)
            for new, old in zip(found[:VERSIONS_SHOWN], [*older, None], strict=False)
        ]
        more = found[VERSIONS_SHOWN - 1].version if len(found) > VERSIONS_SHOWN else None
        return pages.render(request, caller, "publish/versions.html", offer=offer, versions=shown, more=more)

    @routes.post("/offers/{offer_id}/versions/{version}/revert")
    async def revert(offer_id: UUID, version: int, caller: Editor) -> Response:
        kept = await find_version(pages.pool, offer_id, version)
        if kept is None:
            refuse(HTTPStatus.NOT_FOUND, "there is no such version")
        draft = await _draft(pages, offer_id, caller)
        content = kept.content_for(draft.offer)
        outcome = await drafts.save_draft(pages.pool, offer_id, caller.name, draft.revision, content)
        if isinstance(outcome, DraftChanged):
            refuse(HTTPStatus.CONFLICT, "the draft is being changed in another tab; try again")
        return RedirectResponse(f"/offers/{offer_id}/publish", HTTPStatus.SEE_OTHER)

    @routes.get("/offers/new")
    async def new(request: Request, caller: Editor) -> HTMLResponse:
        return pages.render(request, caller, "publish/new.html", typed={}, problems={})

    @routes.post("/offers/new")
    async def create(request: Request, caller: Editor) -> Response:
        form = await request.form()
        names = ("code", "title", "discount_type", "discount_value")
        typed = {name: str(form.get(name, "")) for name in names}
        outcome = await publishing.create(pages.pool, typed, caller)
        if isinstance(outcome, Offer):
            pages.relay.wake()
            return RedirectResponse(f"/offers/{outcome.id}/edit", HTTPStatus.SEE_OTHER)
        problems = {problem.field: problem.message for problem in outcome}
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return pages.render(request, caller, "publish/new.html", status, typed=typed, problems=problems)

    @routes.post("/offers/{offer_id}/duplicate")
    async def duplicate(offer_id: UUID, caller: Editor) -> Response:
        outcome = await publishing.duplicate(pages.pool, offer_id, caller)
        if isinstance(outcome, list):
            raise wrong_fields(outcome)
        offer = granted(outcome)
        pages.relay.wake()
        return RedirectResponse(f"/offers/{offer.id}/edit", HTTPStatus.SEE_OTHER)

    @routes.post("/offers/{offer_id}/status")
    async def change_status(
        offer_id: UUID, caller: Editor, action: Annotated[Action, Form()], version: Annotated[int, Form()]
    ) -> Response:
        granted(await editing.change_status(pages.pool, offer_id, action, version, caller))
        pages.relay.wake()
        return RedirectResponse(f"/offers/{offer_id}", HTTPStatus.SEE_OTHER)

    return routes


@dataclass(frozen=True, slots=True)
class _Review:
    """Draws what publishing would do."""

    pages: Pages

    async def draw(
        self, request: Request, caller: Caller, offer_id: UUID, *, refused: str = "", conflicts: list[str] | None = None
    ) -> HTMLResponse:
        draft = await _draft(self.pages, offer_id, caller)
        operators = await operator_names(self.pages.pool)
        checked = draft.checked()
        wrong = checked if isinstance(checked, list) else []
        changes = [] if isinstance(checked, list) else _changes(draft, checked, operators)
        theirs: list[Difference] = []
        by = None
        if draft.is_stale:
            base = await find_version(self.pages.pool, offer_id, draft.base_version)
            by = await find_version(self.pages.pool, offer_id, draft.offer.version)
            theirs = differences(base.content, content_of(draft.offer), operators) if base else []
        status = HTTPStatus.CONFLICT if refused else HTTPStatus.OK
        return self.pages.render(
            request,
            caller,
            "publish/review.html",
            status,
            draft=draft,
            offer=draft.offer,
            wrong=[(_label(problem, draft), problem.message) for problem in wrong],
            changes=changes,
            theirs=theirs,
            by=by,
            refused=refused,
            conflicts=conflicts or [],
        )


async def _draft(pages: Pages, offer_id: UUID, caller: Caller) -> Draft:
    draft = await drafts.find_draft(pages.pool, offer_id, caller.name)
    return draft if isinstance(draft, Draft) else explain_refusal(draft)


def _changes(draft: Draft, checked: OfferDraft, operators: dict[UUID, str]) -> list[Difference]:
    found = differences(content_of(draft.offer), content_of(checked), operators)
    before, after = set(draft.offer.allowed_users), set(checked.allowed_users)
    if before != after:
        told = f"{len(after):,} ({len(after - before):,} added, {len(before - after):,} removed)"
        found.append(Difference("Chosen users", f"{len(before):,}", told))
    return found


def _label(problem: FieldProblem, draft: Draft) -> str:
    parts = problem.field.split(".")
    if parts[0] in ("rules", "products") and len(parts) > 1:
        names = [name for name in parts[2:] if name != "params"]
        return f"{parts[0][:-1].capitalize()} {int(parts[1]) + 1}: {' '.join(names).replace('_', ' ')}"
    return parts[0].replace("_", " ").capitalize()
