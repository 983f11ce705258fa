"""Builds replies and audit events from decisions. Pure; the same decision always gives the same bytes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import orjson

from services.redemption.decision import Decision, Offer, Rejected, Standing
from services.redemption.records import Redemption, Reply, StoredDecision
from services.redemption.requests import Asked, InvalidRequest, Request
from shared.events.audit_events import AuditType
from shared.events.fields import Message
from shared.events.redemption_replies import Reason
from shared.events.redemption_requests import QuoteRequest, RedeemRequest, RevokeRequest
from shared.named_ids import named_id

AUDIT_IDS: Final = UUID("0d8f3c6e-7a3b-4d57-8a0f-2b9d4e6c1a02")
"""Namespace of audit event ids: repeating a request repeats the event, under the same id."""


def purchase_reply(
    request: RedeemRequest | QuoteRequest,
    offer: Offer | None,
    decision: Decision,
    standing: Standing,
    now: datetime,
    redemption_id: UUID | None = None,
) -> Reply:
    """The reply to a redeem, or to a quote that names its offer."""
    reason = decision.reason if isinstance(decision, Rejected) else None
    explained = request.command == "quote" or reason == "not_eligible"
    return Reply(
        request_id=request.request_id,
        command=request.command,
        status="rejected" if reason else "accepted",
        reason=reason,
        offer_id=offer.id if offer is not None else request.offer_id,
        user_id=request.user_id,
        redemption_id=redemption_id,
        price=decision.price.price,
        discount_amount=decision.price.discount_amount,
        price_paid=decision.price.price_paid,
        decided_at=now,
        explanation=standing.explanation or () if explained else None,
    )


def kept_reply(request: RedeemRequest, redemption: Redemption) -> Reply:
    """The reply to a redeem that was accepted so long ago that its decision is kept no longer."""
    return Reply(
        request_id=request.request_id,
        command="redeem",
        status="accepted",
        offer_id=redemption.offer_id,
        user_id=redemption.user_id,
        redemption_id=redemption.id,
        price=redemption.price_paid + redemption.discount_amount,
        discount_amount=redemption.discount_amount,
        price_paid=redemption.price_paid,
        decided_at=redemption.created_at,
    )


def revoke_reply(request: RevokeRequest, redemption: Redemption | None, now: datetime, reason: Reason | None) -> Reply:
    """The reply to a revoke, with the prices of the redemption it names."""
    reply = Reply(
        request_id=request.request_id,
        command="revoke",
        status="rejected" if reason else "accepted",
        reason=reason,
        redemption_id=request.redemption_id,
        decided_at=now,
    )
    if redemption is None or reason == "deadline_passed":
        return reply
    return replace(
        reply,
        offer_id=redemption.offer_id,
        user_id=redemption.user_id,
        redemption_id=redemption.id,
        price=redemption.price_paid + redemption.discount_amount,
        discount_amount=redemption.discount_amount,
        price_paid=redemption.price_paid,
    )


def invalid_reply(request: InvalidRequest, now: datetime) -> Reply:
    """The reply to a message that can be answered but not decided."""
    return Reply(
        request_id=request.request_id,
        command=request.command,
        status="rejected",
        reason="invalid_request",
        decided_at=now,
        message=request.error,
    )


def conflict_reply(request: Request, now: datetime) -> Reply:
    """The reply to a request_id that came before with other content."""
    price = None
    if isinstance(request, RedeemRequest | QuoteRequest):
        price = request.unit_price * request.quantity
    return Reply(
        request_id=request.request_id,
        command=request.command,
        status="rejected",
        reason="idempotency_conflict",
        offer_id=getattr(request, "offer_id", None),
        user_id=getattr(request, "user_id", None),
        price=price,
        discount_amount=None if price is None else Decimal(0),
        price_paid=price,
        decided_at=now,
    )


def stored_decision(request_id: UUID, asked: Asked, reply: Reply, inputs: str | None = None) -> StoredDecision:
    """The decision as it is kept, its reply as it is sent."""
    assert reply.command != "quote", "a quote leaves no trace"
    return StoredDecision(
        request_id=request_id,
        content_hash=asked.hash,
        command=reply.command,
        status=reply.status,
        reason=reply.reason,
        offer_id=reply.offer_id,
        user_id=reply.user_id,
        redemption_id=reply.redemption_id,
        request=asked.content,
        reply=reply_json(reply).decode(),
        decided_at=reply.decided_at,
        inputs=inputs,
    )


def reply_json(reply: Reply) -> bytes:
    """The reply as it goes over the wire: what the message model's model_dump_json gives, at a fraction of the cost."""
    return orjson.dumps(
        {
            "request_id": reply.request_id,
            "command": reply.command,
            "status": reply.status,
            "reason": reply.reason,
            "offer_id": reply.offer_id,
            "user_id": reply.user_id,
            "redemption_id": reply.redemption_id,
            "price": _money(reply.price),
            "discount_amount": _money(reply.discount_amount),
            "price_paid": _money(reply.price_paid),
            "decided_at": reply.decided_at,
            "explanation": _dumped(reply.explanation),
            "message": reply.message,
            "offers": _dumped(reply.offers),
        },
        default=str,  # The driver has a UUID type of its own.
        option=orjson.OPT_UTC_Z,
    )


def _money(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:.2f}"


def _dumped(items: Sequence[Message] | None) -> list[Any] | None:
    return None if items is None else [item.model_dump(mode="json") for item in items]


def audit_message(stored: StoredDecision) -> tuple[UUID, bytes]:
    """What the audit trail says of a decision, as JSON of shared/events/audit_events.py, and its key."""
    accepted = stored.status == "accepted" and stored.redemption_id is not None
    entity_id = stored.redemption_id if accepted and stored.redemption_id else stored.request_id
    data = {"request": orjson.Fragment(stored.request), "reply": orjson.Fragment(stored.reply)}
    if stored.inputs is not None:
        data["inputs"] = orjson.Fragment(stored.inputs)
    event = {
        "event_id": audit_id(stored),
        "type": _audit_type(stored),
        "actor": "checkout",
        "entity_type": "redemption" if accepted else "request",
        "entity_id": entity_id,
        "offer_id": stored.offer_id,
        "user_id": stored.user_id,
        "occurred_at": stored.decided_at,
        "data": data,
    }
    return entity_id, orjson.dumps(event, default=str, option=orjson.OPT_UTC_Z)


def audit_id(stored: StoredDecision) -> UUID:
    """The id of a decision's audit event."""
    return named_id(AUDIT_IDS, f"{stored.request_id}:{stored.content_hash.hex()}")


def _audit_type(stored: StoredDecision) -> AuditType:
    if stored.status == "rejected":
        return "redemption.rejected"
    return "redemption.accepted" if stored.command == "redeem" else "redemption.revoked"
