"""Redemption requests as checkouts send them, and the replies they get."""

from typing import Any
from uuid import UUID, uuid4

import orjson

from shared.broker import Outgoing
from shared.topics import REDEMPTION_REQUESTS


def redeem(offer_id: UUID | str | None, user_id: UUID | None = None, **fields: Any) -> dict[str, Any]:
    """A redeem of one item at 100.00, as JSON values."""
    request: dict[str, Any] = {
        "request_id": str(uuid4()),
        "user_id": str(user_id or uuid4()),
        "quantity": 1,
        "unit_price": "100.00",
    }
    if offer_id is not None:
        request["offer_id"] = str(offer_id)
    return request | fields


def message(request: dict[str, Any] | bytes, **headers: str) -> Outgoing:
    """The request as a message, keyed by its offer."""
    if isinstance(request, bytes):
        return Outgoing(REDEMPTION_REQUESTS, b"key", request, [(k, v.encode()) for k, v in headers.items()])
    key = str(request.get("offer_id") or request.get("code") or request.get("redemption_id") or "")
    return Outgoing(
        REDEMPTION_REQUESTS, key.encode(), orjson.dumps(request), [(k, v.encode()) for k, v in headers.items()]
    )
