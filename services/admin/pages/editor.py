"""The editor of an offer: saves what is typed into the draft at once, does what its buttons say, and counts its reach.

A save answers with what stands beside the inputs only, so that no input is ever swapped while somebody types in it;
a button redraws the form.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response, UploadFile
from fastapi.responses import HTMLResponse

from services.admin import drafts, store
from services.admin.drafts import Draft, DraftChanged, Outcome
from services.admin.judging import operator_names
from services.admin.models import RULES_MAX, USERS_MAX, OfferDraft, Preview
from services.admin.pages import forms
from services.admin.pages.rendering import Pages, money
from services.admin.pages.rule_form import rule_kinds
from services.admin.requests import explain_refusal
from services.admin.user_lists import UserList, read_users
from services.admin.wording import audience_text, rules_sentence, terms_sentence
from shared.http.problems import Refused
from shared.pricing import discounted_price
from shared.security import Caller, Role

EXAMPLE_PRICE: Final = "100.00"
ENCODINGS: Final = ("utf-8-sig", "latin-1")


def editor_routes(pages: Pages) -> APIRouter:
    """What editors edit with."""
    needed = pages.access.caller(Role.editor)
    routes = APIRouter(include_in_schema=False, dependencies=[Depends(needed)])
    Editor = Annotated[Caller, Depends(needed)]
    view = _Editor(pages)

    @routes.get("/offers/{offer_id}/edit")
    async def edit(request: Request, offer_id: UUID, caller: Editor) -> HTMLResponse:
        draft = _found(await drafts.find_draft(pages.pool, offer_id, caller.name))
        return await view.draw(request, caller, "editor/page.html", draft)

    @routes.post("/offers/{offer_id}/draft")
    async def save(request: Request, offer_id: UUID, caller: Editor) -> HTMLResponse:
        typed = [(name, value) for name, value in (await request.form()).multi_items() if isinstance(value, str)]
        given = dict(typed)
        operation, revision = given.get("op", ""), _whole(given.get("revision"))
        content = forms.content_of_form(typed, await operator_names(pages.pool))
        focus = forms.apply(content, operation)
        base = _whole(given.get("base_version")) or None
        outcome = await drafts.save_draft(pages.pool, offer_id, caller.name, revision, content, base)
        if operation in ("undo", "redo") and isinstance(outcome, Draft):
            forward = operation == "redo"
            outcome = await drafts.step(pages.pool, offer_id, caller.name, outcome.revision, forward=forward)
        if isinstance(outcome, DraftChanged):
            return view.stale(request, caller, offer_id)
        example = given.get("example_price", EXAMPLE_PRICE)
        return await view.saved(request, caller, _found(outcome), operation, focus or operation, example)

    @routes.post("/offers/{offer_id}/draft/users")
    async def import_users(
        request: Request,
        offer_id: UUID,
        caller: Editor,
        revision: Annotated[int, Form()],
        mode: Annotated[str, Form()] = "add",
        text: Annotated[str, Form()] = "",
        file: UploadFile | None = None,
    ) -> HTMLResponse:
        listed = read_users(f"{text}\n{_decoded(await file.read())}" if file else text)
        draft = _found(await drafts.find_draft(pages.pool, offer_id, caller.name))
        wanted, told = _combined(set(draft.allowed_users), listed, mode)
        if len(wanted) > USERS_MAX:
            told, wanted = f"Nothing changed: an offer has at most {USERS_MAX:,} chosen users", set(draft.allowed_users)
        outcome = await drafts.save_users(pages.pool, offer_id, caller.name, revision, list(wanted))
        if isinstance(outcome, DraftChanged):
            return view.stale(request, caller, offer_id)
        imported = {"text": told, "bad": listed.bad}
        return await view.imported(request, caller, _found(outcome), imported)

    @routes.post("/offers/{offer_id}/draft/discard")
    async def discard(offer_id: UUID, caller: Editor) -> Response:
        await store.delete_draft(pages.pool, offer_id, caller.name)
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": f"/offers/{offer_id}/edit"})

    @routes.get("/offers/{offer_id}/draft/reach")
    async def reach(request: Request, offer_id: UUID, caller: Editor) -> HTMLResponse:
        draft = _found(await drafts.find_draft(pages.pool, offer_id, caller.name))
        found, why, audience = None, "the rules are not complete yet", draft.audience()
        if audience is not None:
            why = ""
            wanted = Preview(**dict(audience), sample_size=1)
            try:
                found = await pages.reach.newest(f"{offer_id} {caller.name}", wanted)
            except Refused as refused:
                why = refused.problem.detail
            if found is None and not why:
                return HTMLResponse(status_code=HTTPStatus.NO_CONTENT)
        return pages.render(request, caller, "editor/_reach.html", draft=draft, reach=found, why=why)

    return routes


@dataclass(frozen=True, slots=True)
class _Editor:
    """Draws the editor and its parts."""

    pages: Pages

    async def draw(
        self,
        request: Request,
        caller: Caller,
        template: str,
        draft: Draft,
        example_price: str = EXAMPLE_PRICE,
        **more: Any,
    ) -> HTMLResponse:
        operators = await operator_names(self.pages.pool)
        checked = draft.checked()
        problems = [] if isinstance(checked, OfferDraft) else checked
        content = draft.content
        values: dict[str, Any] = {
            "draft": draft,
            "problems": [{"field": problem.field, "message": problem.message} for problem in problems],
            "operators": operators,
            "kinds": rule_kinds(),
            "rules_max": RULES_MAX,
            "words": {
                "terms": terms_sentence(checked) if isinstance(checked, OfferDraft) else None,
                "audience": audience_text(content["allow_all"], len(draft.allowed_users), content["allowed_roles"]),
                "rules": rules_sentence(
                    content["eligibility_logic"], [rule for rule in content["rules"] if rule["enabled"]], operators
                ),
            },
            "example_price": example_price,
            "example": _example(checked, example_price),
            "focus": None,
            "oob": False,
        }
        return self.pages.render(request, caller, template, **values | more)

    async def saved(
        self, request: Request, caller: Caller, draft: Draft, operation: str, focus: str, example_price: str
    ) -> HTMLResponse:
        """Beside the inputs only, and the form where a button changed it."""
        known = {"operation": operation, "focus": focus, "announce": _announcement(operation, draft)}
        beside = await self.draw(request, caller, "editor/_saved.html", draft, example_price, **known)
        if not operation:
            return beside
        form = await self.draw(request, caller, "editor/_body.html", draft, example_price, **known)
        return HTMLResponse(bytes(form.body) + bytes(beside.body), headers={"Cache-Control": "no-store"})

    async def imported(self, request: Request, caller: Caller, draft: Draft, imported: Any) -> HTMLResponse:
        users = await self.draw(request, caller, "editor/_users.html", draft, imported=imported)
        beside = await self.draw(request, caller, "editor/_saved.html", draft, operation="", announce="")
        return HTMLResponse(bytes(users.body) + bytes(beside.body), headers={"Cache-Control": "no-store"})

    def stale(self, request: Request, caller: Caller, offer_id: UUID) -> HTMLResponse:
        why = "this draft was changed in another tab."
        template, status = "editor/_stale.html", HTTPStatus.CONFLICT
        response = self.pages.render(request, caller, template, status, offer_id=offer_id, why=why)
        response.headers["HX-Reswap"] = "none"
        return response


def _found(outcome: Outcome) -> Draft:
    if isinstance(outcome, Draft):
        return outcome
    assert not isinstance(outcome, DraftChanged), "told apart before"
    return explain_refusal(outcome)


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _decoded(data: bytes) -> str:
    for encoding in ENCODINGS:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return ""


def _combined(before: set[UUID], listed: UserList, mode: str) -> tuple[set[UUID], str]:
    match mode:
        case "replace" if listed.users or not listed.bad:
            return listed.users, f"{len(listed.users):,} users are chosen now"
        case "remove":
            return before - listed.users, f"{len(before & listed.users):,} users removed"
        case "add":
            return before | listed.users, f"{len(listed.users - before):,} users added"
    return before, "Nothing changed: no user id could be read"


def _example(checked: Any, unit_price: str) -> str:
    if not isinstance(checked, OfferDraft):
        return ""
    try:
        price = Decimal(unit_price.strip())
        if not Decimal(0) <= price <= Decimal(10) ** 9:
            raise InvalidOperation
    except InvalidOperation:
        return "Type a price, like 100.00"
    whole = discounted_price(price, 1, checked.discount_type, checked.discount_value)
    return f"Instead of {money(whole.price)} a user pays {money(whole.price_paid)}: {money(whole.discount_amount)} off"


def _announcement(operation: str, draft: Draft) -> str:
    name, _, key = operation.partition(":")
    keys = [rule["rule_key"] for rule in draft.content["rules"]]
    place = keys.index(key) + 1 if key in keys else 0
    return {
        "rules.add": f"Rule {len(keys)} added",
        "rules.duplicate": f"Rule {place} duplicated as rule {place + 1}",
        "rules.remove": f"Rule removed; {len(keys)} are left",
        "rules.toggle": f"Rule {place} switched",
        "rules.up": f"Rule moved to place {place} of {len(keys)}",
        "rules.down": f"Rule moved to place {place} of {len(keys)}",
        "undo": "Undone",
        "redo": "Redone",
    }.get(name, "")
