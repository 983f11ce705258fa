"""A request as the model of the book knows it, and the JSON that says it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Final, Literal
from uuid import UUID

import orjson

from tests.support.book_prices import money

Spelling = Literal["plain", "other"]
ABROAD: Final = timezone(timedelta(hours=5, minutes=30))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a checkout asks. Ids are None where the message leaves them out."""

    request_id: UUID
    command: Literal["redeem", "quote", "revoke"]
    user_id: UUID | None = None
    offer_id: UUID | None = None
    code: str | None = None
    product_id: UUID | None = None
    mapping_id: UUID | None = None
    quantity: int = 1
    unit_cents: int = 0
    redemption_id: UUID | None = None
    redeem_request_id: UUID | None = None
    deadline: datetime | None = None

    @property
    def valid(self) -> bool:
        """Whether it is a request by the contract, so far as the steps make others."""
        if self.command == "revoke":
            return (self.redemption_id is None) != (self.redeem_request_id is None)
        offers_named = (self.offer_id is not None) + (self.code is not None)
        return self.quantity >= 1 and (offers_named == 1 or (self.command == "quote" and offers_named == 0))

    def same_as(self, other: "Asked") -> bool:
        """Whether both ask for the same; a deadline asks for nothing."""
        return replace(self, deadline=None) == replace(other, deadline=None)

    def late(self, now: datetime) -> bool:
        """Whether it is decided later than it may be."""
        return self.deadline is not None and self.deadline < now

    def to_json(self, spelling: Spelling = "plain") -> bytes:
        """The message's value. The other spelling of a valid request says the same."""
        fields = self._purchase() if self.command != "revoke" else self._revocation()
        fields |= {"request_id": self.request_id, "command": self.command, "deadline": self.deadline}
        if spelling == "plain" or not self.valid:
            return orjson.dumps({name: value for name, value in fields.items() if value is not None})
        return orjson.dumps(_respelt(fields))

    def _purchase(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "offer_id": self.offer_id,
            "code": self.code,
            "operator_product_id": self.product_id,
            "supplier_product_mapping_id": self.mapping_id,
            "quantity": self.quantity,
            "unit_price": money(self.unit_cents),
        }

    def _revocation(self) -> dict[str, Any]:
        return {"redemption_id": self.redemption_id, "redeem_request_id": self.redeem_request_id}


def _respelt(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Nulls and ids in capitals, defaults left out, money without its last zeros, another zone, an unknown field."""
    capitals: dict[str, Any] = {
        name: str(value).upper() if isinstance(value, UUID) else value for name, value in fields.items()
    }
    if "unit_price" in capitals:
        capitals["unit_price"] = capitals["unit_price"].removesuffix("0").removesuffix(".0")
    if capitals.get("quantity") == 1:
        del capitals["quantity"]
    if capitals["command"] == "redeem":
        del capitals["command"]
    if capitals["deadline"] is not None:
        capitals["deadline"] = capitals["deadline"].astimezone(ABROAD).isoformat()
    return dict(reversed(capitals.items())) | {"channel": {"name": "till", "shift": [1, 2]}}
