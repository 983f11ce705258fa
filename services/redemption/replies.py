"""Builds replies and audit events from decisions. Pure; the same decision always gives the same bytes."""

from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid5

import orjson

from services.redemption.decision import Decision, Offer, Rejected, Standing
from services.redemption.records import Redemption, StoredDecision
from services.redemption.requests import InvalidRequest, Request, content_of
from shared.events.audit_events import AuditEvent, AuditType
from shared.events.redemption_replies import Reason, RedemptionReply
from shared.events.redemption_requests import QuoteRequest, RedeemRequest, RevokeRequest

AUDIT_IDS: Final = UUID("0d8f3c6e-7a3b-4d57-8a0f-2b9d4e6c1a02")
"""Namespace of audit event ids: repeating a request repeats the event, under the same id."""


def purchase_reply(
    request: RedeemRequest | QuoteRequest,
    offer: Offer | None,
    decision: Decision,
    standing: Standing,
    now: datetime,
    redemption_id: UUID | None = None,
) -> RedemptionReply:
    """The reply to a redeem, or to a quote that names its offer."""
    reason = decision.reason if isinstance(decision, Rejected) else None
    explained = request.command == "quote" or reason == "not_eligible"
    return RedemptionReply(
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
        explanation=list(standing.explanation or ()) if explained else None,
    )


def revoke_reply(
    request: RevokeRequest, redemption: Redemption | None, now: datetime, reason: Reason | None
) -> RedemptionReply:
    """The reply to a revoke, with the prices of the redemption it names."""
    reply = RedemptionReply(
        request_id=request.request_id,
        command="revoke",
        status="rejected" if reason else "accepted",
        reason=reason,
        redemption_id=request.redemption_id,
        decided_at=now,
    )
    if redemption is None:
        return reply
    return reply.model_copy(
        update={
            "offer_id": redemption.offer_id,
            "user_id": redemption.user_id,
            "redemption_id": redemption.id,
            "price": redemption.price_paid + redemption.discount_amount,
            "discount_amount": redemption.discount_amount,
            "price_paid": redemption.price_paid,
        }
    )


def invalid_reply(request: InvalidRequest, now: datetime) -> RedemptionReply:
    """The reply to a message that can be answered but not decided."""
    return RedemptionReply(
        request_id=request.request_id,
        command=request.command,
        status="rejected",
        reason="invalid_request",
        decided_at=now,
        message=request.error,
    )


def conflict_reply(request: Request, now: datetime) -> RedemptionReply:
    """The reply to a request_id that came before with other content."""
    price = None
    if isinstance(request, RedeemRequest | QuoteRequest):
        price = request.unit_price * request.quantity
    return RedemptionReply(
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


def stored_decision(request: Request, asked: bytes, reply: RedemptionReply) -> StoredDecision:
    """The decision as it is kept, its reply as it is sent."""
    assert reply.command != "quote", "a quote leaves no trace"
    return StoredDecision(
        request_id=request.request_id,
        content_hash=asked,
        command=reply.command,
        status=reply.status,
        reason=reply.reason,
        offer_id=reply.offer_id,
        user_id=reply.user_id,
        redemption_id=reply.redemption_id,
        request=content_of(request),
        reply=reply.model_dump_json(),
        decided_at=reply.decided_at,
    )


def audit_event(stored: StoredDecision) -> AuditEvent:
    """What the audit trail says of a decision."""
    kind: AuditType = "redemption.rejected"
    if stored.status == "accepted":
        kind = "redemption.accepted" if stored.command == "redeem" else "redemption.revoked"
    accepted_redemption = stored.redemption_id if stored.status == "accepted" else None
    return AuditEvent(
        event_id=uuid5(AUDIT_IDS, f"{stored.request_id}:{stored.content_hash.hex()}"),
        type=kind,
        actor="checkout",
        entity_type="redemption" if accepted_redemption else "request",
        entity_id=accepted_redemption or stored.request_id,
        offer_id=stored.offer_id,
        user_id=stored.user_id,
        occurred_at=stored.decided_at,
        data={"request": stored.request, "reply": orjson.loads(stored.reply)},
    )
