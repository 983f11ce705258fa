"""Topic `redemption.requests`, keyed by offer_id (or code): what checkouts ask.

Headers, all optional: `correlation_id` (returned with the reply), `reply_to` (the topic for the reply) and
`reply_partition` (a partition of it).
"""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Discriminator, Field, Tag, TypeAdapter, model_validator

from shared.events.fields import Code, Message, Moment, Money, Text


class Purchase(Message):
    """What a redeem and a quote say of the purchase."""

    request_id: UUID = Field(description="idempotency key")
    user_id: UUID
    operator_product_id: UUID | None = None
    supplier_product_mapping_id: UUID | None = None
    quantity: int = Field(default=1, ge=1, le=1_000_000)
    unit_price: Money
    deadline: Moment | None = Field(default=None, description="decided later than this: `deadline_passed`")

    @model_validator(mode="after")
    def _price_fits(self) -> "Purchase":
        if self.unit_price * self.quantity >= 10**10:
            raise ValueError("unit_price × quantity must be below 10,000,000,000")
        return self


class RedeemRequest(Purchase):
    """Use an offer on a purchase, named by `offer_id` or by `code`."""

    command: Literal["redeem"] = "redeem"
    offer_id: UUID | None = None
    code: Code | None = None

    @model_validator(mode="after")
    def _one_offer(self) -> "RedeemRequest":
        if (self.offer_id is None) == (self.code is None):
            raise ValueError("exactly one of offer_id and code is needed")
        return self


class QuoteRequest(Purchase):
    """The same decision with nothing stored or counted; with no offer named, every usable offer."""

    command: Literal["quote"]
    offer_id: UUID | None = None
    code: Code | None = None

    @model_validator(mode="after")
    def _at_most_one_offer(self) -> "QuoteRequest":
        if self.offer_id is not None and self.code is not None:
            raise ValueError("at most one of offer_id and code may be given")
        return self


class RevokeRequest(Message):
    """Cancel a redemption, named by its id or by the request that redeemed."""

    command: Literal["revoke"]
    request_id: UUID = Field(description="idempotency key")
    redemption_id: UUID | None = None
    redeem_request_id: UUID | None = None
    reason: Text | None = Field(default=None, description="why, for the audit trail")
    deadline: Moment | None = None

    @model_validator(mode="after")
    def _one_redemption(self) -> "RevokeRequest":
        if (self.redemption_id is None) == (self.redeem_request_id is None):
            raise ValueError("exactly one of redemption_id and redeem_request_id is needed")
        return self


def _command(value: Any) -> str | None:
    if isinstance(value, dict):
        command = value.get("command", "redeem")
        return command if isinstance(command, str) else None
    return getattr(value, "command", None)


RedemptionRequest = Annotated[
    Annotated[RedeemRequest, Tag("redeem")]
    | Annotated[QuoteRequest, Tag("quote")]
    | Annotated[RevokeRequest, Tag("revoke")],
    Discriminator(_command),
]
"""Any of the three commands; without `command` it is a redeem."""

REDEMPTION_REQUEST: TypeAdapter[RedeemRequest | QuoteRequest | RevokeRequest] = TypeAdapter(RedemptionRequest)
