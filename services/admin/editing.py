"""Changes an offer: one transaction holds the change, the event that announces it and its audit event.

The offer's row is locked first, so of two writers with the same version the second finds it raised.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID, uuid4

import asyncpg

from services.admin import store
from services.admin.changes import Action, ChangeType, describe_change, event_type, next_status
from services.admin.models import Offer, OfferDraft, Status
from services.admin.versions import keep_version
from shared.database import Connection, Pool
from shared.events.audit_events import AuditEvent
from shared.events.offers_changed import OfferChanged
from shared.outbox import add_to_outbox
from shared.security import Caller
from shared.topics import AUDIT_EVENTS, OFFERS_CHANGED


@dataclass(frozen=True, slots=True)
class OfferNotFound:
    """There is no such offer."""


@dataclass(frozen=True, slots=True)
class StaleVersion:
    """The offer has been changed since the version the writer states."""

    stated: int
    current: int


@dataclass(frozen=True, slots=True)
class NotAllowedNow:
    """The offer's status does not allow the action."""

    action: str
    status: Status


@dataclass(frozen=True, slots=True)
class CodeTaken:
    """Another offer has the code."""

    code: str


@dataclass(frozen=True, slots=True)
class LimitBelowUsage:
    """The offer, or one user of it, has more standing redemptions than the new limit allows."""

    field: Literal["total_usage_limit", "per_user_limit"]
    limit: int | None


Refusal = OfferNotFound | StaleVersion | NotAllowedNow | CodeTaken | LimitBelowUsage


async def create_offer(pool: Pool, draft: OfferDraft, caller: Caller) -> Offer | Refusal:
    """Store a new draft."""
    try:
        async with pool.acquire() as connection, connection.transaction():
            offer_id = await store.insert_offer(connection, draft, caller.name)
            return await _announce(connection, offer_id, "offer.created", None, caller)
    except asyncpg.IntegrityConstraintViolationError as error:
        return _refusal(error, draft)


async def replace_offer(pool: Pool, offer_id: UUID, draft: OfferDraft, version: int, caller: Caller) -> Offer | Refusal:
    """Make an offer what the draft says, if it still has the version."""
    try:
        return await _edit(pool, offer_id, version, caller, _replacing(draft))
    except asyncpg.IntegrityConstraintViolationError as error:
        return _refusal(error, draft)


async def change_status(
    pool: Pool, offer_id: UUID, action: Action, version: int | None, caller: Caller
) -> Offer | Refusal:
    """Publish, pause or archive an offer."""
    return await _edit(pool, offer_id, version, caller, _becoming(action))


async def publish_draft(
    pool: Pool, offer_id: UUID, draft: OfferDraft, version: int, caller: Caller, revision: int, *, activate: bool
) -> Offer | Refusal:
    """Make an offer what the caller's draft says at a revision, and active where asked, and forget the draft unless
    it has been edited meanwhile: all or nothing."""

    async def forget(connection: Connection, _: Offer) -> None:
        await store.delete_draft(connection, offer_id, caller.name, revision)

    steps = [_replacing(draft), *([_becoming("publish")] if activate else []), forget]
    try:
        return await _edit(pool, offer_id, version, caller, *steps)
    except asyncpg.IntegrityConstraintViolationError as error:
        return _refusal(error, draft)


Step = Callable[[Connection, Offer], Awaitable[ChangeType | Refusal | None]]
"""Changes an offer whose row is locked: answers what to announce, if anything, or why it can't."""


def _replacing(draft: OfferDraft) -> Step:
    async def replace(connection: Connection, before: Offer) -> ChangeType | Refusal:
        if before.status == "archived":
            return NotAllowedNow("change", before.status)
        limit = draft.per_user_limit
        if limit is not None and await store.most_uses_by_one_user(connection, before.id) > limit:
            return LimitBelowUsage("per_user_limit", limit)
        await store.update_offer(connection, before.id, draft)
        return "offer.updated"

    return replace


def _becoming(action: Action) -> Step:
    async def change(connection: Connection, before: Offer) -> ChangeType | Refusal:
        status = next_status(action, before.status)
        if status is None:
            return NotAllowedNow(action, before.status)
        await store.update_status(connection, before.id, status)
        return event_type(action)

    return change


class _Refused(Exception):
    """Ends the transaction without effect."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


async def _edit(pool: Pool, offer_id: UUID, version: int | None, caller: Caller, *steps: Step) -> Offer | Refusal:
    """Take every step and announce each, or none."""
    try:
        async with pool.acquire() as connection, connection.transaction():
            if not await store.lock_offer(connection, offer_id):
                return OfferNotFound()
            offer = await _stored(connection, offer_id)
            if version is not None and version != offer.version:
                return StaleVersion(version, offer.version)
            for step in steps:
                changed = await step(connection, offer)
                if isinstance(changed, str):
                    offer = await _announce(connection, offer_id, changed, offer, caller)
                elif changed is not None:
                    raise _Refused(changed)
            return offer
    except _Refused as refused:
        return refused.refusal


async def _announce(
    connection: Connection, offer_id: UUID, kind: ChangeType, before: Offer | None, caller: Caller
) -> Offer:
    after = await _stored(connection, offer_id)
    changed = OfferChanged(
        event_id=uuid4(),
        type=kind,
        offer_id=offer_id,
        code=after.code,
        status=after.status,
        version=after.version,
        rules_version=after.rules_version,
        occurred_at=after.updated_at,
    )
    audit = AuditEvent(
        event_id=uuid4(),
        type=kind,
        actor=caller.name,
        entity_type="offer",
        entity_id=offer_id,
        offer_id=offer_id,
        occurred_at=after.updated_at,
        data=describe_change(before, after) | {"by": caller.described()},
    )
    await keep_version(connection, after, kind, caller.name)
    await add_to_outbox(connection, OFFERS_CHANGED, [(offer_id, changed.model_dump_json())])
    await add_to_outbox(connection, AUDIT_EVENTS, [(offer_id, audit.model_dump_json())])
    return after


async def _stored(connection: Connection, offer_id: UUID) -> Offer:
    offer = await store.load_offer(connection, offer_id)
    assert offer is not None, "its row is locked by this transaction"
    return offer


def _refusal(error: asyncpg.IntegrityConstraintViolationError, draft: OfferDraft) -> Refusal:
    match error.constraint_name:
        case "offers_code_unique":
            return CodeTaken(draft.code)
        case "offers_usage_within_limit":
            return LimitBelowUsage("total_usage_limit", draft.total_usage_limit)
    raise error
