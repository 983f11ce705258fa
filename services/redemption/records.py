"""What a batch answers, and the rows it adds: redemptions and the decisions they came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from shared.events.redemption_replies import QuotedOffer, Reason, RuleResult


@dataclass(frozen=True, slots=True)
class Redemption:
    """One use of an offer, as its row holds it."""

    id: UUID
    request_id: UUID
    offer_id: UUID
    user_id: UUID
    operator_product_id: UUID | None
    supplier_product_mapping_id: UUID | None
    quantity: int
    price_paid: Decimal
    discount_amount: Decimal
    revoked_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """What was answered to a request, as its row holds it; `request` as JSON, `reply` exactly as sent.

    `inputs` is what it rested on (inputs.py); None where that is not kept.
    """

    request_id: UUID
    content_hash: bytes
    command: Literal["redeem", "revoke"]
    status: Literal["accepted", "rejected"]
    reason: str | None
    offer_id: UUID | None
    user_id: UUID | None
    redemption_id: UUID | None
    request: bytes
    reply: str
    decided_at: datetime
    inputs: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request; shared/events/redemption_replies.py says what each field means."""

    request_id: UUID
    command: Literal["redeem", "quote", "revoke"]
    status: Literal["accepted", "rejected"]
    decided_at: datetime
    reason: Reason | None = None
    offer_id: UUID | None = None
    user_id: UUID | None = None
    redemption_id: UUID | None = None
    price: Decimal | None = None
    discount_amount: Decimal | None = None
    price_paid: Decimal | None = None
    explanation: Sequence[RuleResult] | None = None
    message: str | None = None
    offers: Sequence[QuotedOffer] | None = None
