"""Topic `redemption.replies` (or the request's `reply_to`), keyed by request_id: what was decided.

The header `correlation_id` is the request's.
"""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from shared.events.fields import Message, Moment, Money

Reason = Literal[
    "invalid_request",
    "idempotency_conflict",
    "deadline_passed",
    "offer_not_found",
    "offer_inactive",
    "offer_not_started",
    "offer_ended",
    "product_not_covered",
    "quantity_exceeded",
    "user_not_allowed",
    "not_eligible",
    "per_user_limit_reached",
    "offer_exhausted",
    "redemption_not_found",
    "already_revoked",
]
"""Why a request was rejected: the first that applies, in this order."""


class RuleResult(Message):
    """How one eligibility rule of the offer judges the user."""

    rule_key: str
    rule_type: str
    passed: bool
    required: Any = Field(description="what the rule asks for: a number, or a decimal string for money")
    actual: Any = Field(description="what the user has, in the same form; null where there is nothing")
    valid_until: Moment | None = Field(description="when it lapses; null if it never does or doesn't pass")
    missing: str | None = Field(
        default=None, description="what the user still lacks, for a person to read; null if it passes"
    )


class QuotedOffer(Message):
    """One offer the user could use on the purchase."""

    offer_id: UUID
    code: str
    title: str
    discount_amount: Money
    price_paid: Money


class RedemptionReply(Message):
    """The decision on one request."""

    request_id: UUID
    command: Literal["redeem", "quote", "revoke"]
    status: Literal["accepted", "rejected"]
    reason: Reason | None = Field(default=None, description="null when accepted")
    offer_id: UUID | None = None
    user_id: UUID | None = None
    redemption_id: UUID | None = None
    price: Money | None = Field(default=None, description="unit_price × quantity")
    discount_amount: Money | None = None
    price_paid: Money | None = Field(default=None, description="price − discount_amount")
    decided_at: Moment
    explanation: list[RuleResult] | None = Field(default=None, description="with `not_eligible` and every quote")
    message: str | None = Field(default=None, description="what is wrong with an invalid request, for a person")
    offers: list[QuotedOffer] | None = Field(
        default=None, description="a quote that names no offer: the usable offers, best saving first"
    )
