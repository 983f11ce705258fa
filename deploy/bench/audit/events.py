"""Invented audit events, shaped and sized as redemption's of an accepted request, with all fields filled."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np

from shared.broker import Outgoing
from shared.events.audit_events import AuditEvent
from shared.topics import AUDIT_EVENTS

SEED: Final = 20_261_127
IDS_EACH: Final = 7


def invent_events(count: int, number: int, now: datetime) -> list[Outgoing]:
    """The messages of round `number`, a millisecond apart until now."""
    drawn = np.random.default_rng(SEED + number).bytes(16 * IDS_EACH * count)
    ids = [UUID(bytes=drawn[start : start + 16], version=4) for start in range(0, len(drawn), 16)]
    return [
        _message(ids[IDS_EACH * place : IDS_EACH * (place + 1)], now - timedelta(milliseconds=count - place))
        for place in range(count)
    ]


def _message(ids: list[UUID], occurred_at: datetime) -> Outgoing:
    event_id, redemption_id, request_id, offer_id, user_id, product_id, mapping_id = ids
    named = {"request_id": str(request_id), "offer_id": str(offer_id), "user_id": str(user_id)}
    request: dict[str, Any] = named | {
        "command": "redeem",
        "operator_product_id": str(product_id),
        "supplier_product_mapping_id": str(mapping_id),
        "quantity": 1,
        "unit_price": "100.00",
    }
    reply: dict[str, Any] = named | {
        "command": "redeem",
        "status": "accepted",
        "reason": None,
        "redemption_id": str(redemption_id),
        "price": "100.00",
        "discount_amount": "10.00",
        "price_paid": "90.00",
        "decided_at": occurred_at.isoformat(),
        "explanation": None,
        "message": None,
        "offers": None,
    }
    event = AuditEvent(
        event_id=event_id,
        type="redemption.accepted",
        actor="checkout",
        entity_type="redemption",
        entity_id=redemption_id,
        offer_id=offer_id,
        user_id=user_id,
        occurred_at=occurred_at,
        data={"request": request, "reply": reply},
    )
    return Outgoing(AUDIT_EVENTS, str(redemption_id).encode(), event.to_bytes())
