"""Makes drafts what customers get: checks them, asks again where very many would be reached, and publishes.

Also begins new offers: from a few fields, or from another offer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.admin import editing, store
from services.admin.content import Content, FieldProblem, check, content_of
from services.admin.drafts import Draft, DraftChanged, find_draft
from services.admin.editing import CodeTaken, OfferNotFound, Refusal
from services.admin.models import Offer, OfferDraft, Preview, PreviewResult
from services.admin.reach import Reach
from shared.database import Pool
from shared.security import Caller

COUNT_WAIT_S_MAX: Final = 20.0
COPIES_MAX: Final = 100
CODE_LENGTH_MAX: Final = 64

NEW: Final[Content] = {
    "description": "",
    "per_user_limit": None,
    "total_usage_limit": None,
    "starts_at": None,
    "ends_at": None,
    "apply_to": "all",
    "products": [],
    "allow_all": True,
    "allowed_roles": [],
    "eligibility_logic": "all",
    "rules": [],
}


@dataclass(frozen=True, slots=True)
class ReachNotConfirmed:
    """It would reach more users than may be without asking again."""

    matching: int
    total_users: int


Outcome = Offer | Refusal | DraftChanged | ReachNotConfirmed | list[FieldProblem]


def wanted(draft: Draft, checked: OfferDraft, sample_size: int) -> Preview:
    """What to count: whom the draft reaches, compared with whom the offer reaches. A draft's first publication, too:
    an offer that is not active reaches nobody yet, but its rules tell who enters."""
    return Preview.model_validate(
        _audience(content_of(checked), checked.allowed_users)
        | {
            "sample_size": sample_size,
            "compared_to": _audience(content_of(draft.offer), draft.offer.allowed_users),
        }
    )


def must_confirm(reach: PreviewResult, percent: int) -> bool:
    """It reaches a greater share of the known users than may be without asking again."""
    return reach.matching * 100 > reach.total_users * percent


async def publish(
    pool: Pool,
    reach: Reach,
    offer_id: UUID,
    caller: Caller,
    *,
    revision: int,
    version: int,
    activate: bool,
    confirm_percent: int | None,
) -> Outcome:
    """Publish the caller's draft as it was at a revision, on top of the offer as it was at a version.

    `confirm_percent`: refuse where more of the users would be reached; None: whoever asks has confirmed it.

    Raises:
        Refused: if whom it reaches can't be counted now.
    """
    draft = await find_draft(pool, offer_id, caller.name)
    if isinstance(draft, OfferNotFound):
        return draft
    if draft.revision != revision:
        return DraftChanged(revision, draft.revision)
    checked = draft.checked()
    if not isinstance(checked, OfferDraft):
        return checked
    if draft.is_stale:
        return editing.StaleVersion(draft.base_version, draft.offer.version)
    if confirm_percent is not None:
        found = await reach.preview(wanted(draft, checked, 0), COUNT_WAIT_S_MAX)
        if must_confirm(found, confirm_percent):
            return ReachNotConfirmed(found.matching, found.total_users)
    return await editing.publish_draft(pool, offer_id, checked, version, caller, revision, activate=activate)


async def create(pool: Pool, typed: Mapping[str, str], caller: Caller) -> Offer | list[FieldProblem]:
    """Begin an offer from its code, title and discount; the rest takes its default."""
    checked = check(NEW | dict(typed), [])
    if not isinstance(checked, OfferDraft):
        return checked
    outcome = await editing.create_offer(pool, checked, caller)
    if isinstance(outcome, Offer):
        return outcome
    assert isinstance(outcome, CodeTaken), "nothing else can be wrong with a new offer"
    return [FieldProblem("code", "another offer has this code")]


async def duplicate(pool: Pool, offer_id: UUID, caller: Caller) -> Offer | Refusal | list[FieldProblem]:
    """Begin an offer that is like another one, under a code of its own; other programs may have stored one whose
    copy would be refused."""
    offer = await store.load_offer(pool, offer_id)
    if offer is None:
        return OfferNotFound()
    outcome: Offer | Refusal = CodeTaken(offer.code)
    for number in range(1, COPIES_MAX):
        ending = "-COPY" if number == 1 else f"-COPY{number}"
        content = content_of(offer) | {
            "code": offer.code[: CODE_LENGTH_MAX - len(ending)] + ending,
            "title": f"{offer.title[:490]} (copy)",
        }
        checked = check(content, offer.allowed_users)
        if not isinstance(checked, OfferDraft):
            return checked
        outcome = await editing.create_offer(pool, checked, caller)
        if not isinstance(outcome, CodeTaken):
            break
    return outcome


def _audience(content: Content, allowed_users: list[UUID]) -> Content:
    names = ("allow_all", "allowed_roles", "eligibility_logic", "rules")
    return {name: content[name] for name in names} | {"allowed_users": allowed_users}
