"""Whether a purchase may use an offer. Pure: no I/O, no clock, no randomness.

Reasons are given in the contract's order; the first that applies is the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from services.redemption.records import Redemption
from shared.events.redemption_replies import Reason, RuleResult
from shared.events.redemption_requests import Purchase, RevokeRequest
from shared.pricing import DiscountType, Price, discounted_price, full_price


@dataclass(frozen=True, slots=True)
class ProductTerms:
    """One product an offer names, and its terms there."""

    operator_product_id: UUID | None
    supplier_product_mapping_id: UUID | None
    price_override: Decimal | None = None
    max_quantity_per_purchase: int | None = None

    def covers(self, purchase: Purchase) -> bool:
        """Whether the purchase is of this product; an id the terms leave open matches any."""
        return self.operator_product_id in (None, purchase.operator_product_id) and (
            self.supplier_product_mapping_id in (None, purchase.supplier_product_mapping_id)
        )

    @property
    def precision(self) -> int:
        """How many ids the terms name: of two that cover a purchase, the more precise applies."""
        return (self.operator_product_id is not None) + (self.supplier_product_mapping_id is not None)


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer as the decision needs it; its use so far is counted by the book."""

    id: UUID
    code: str
    title: str
    status: Literal["draft", "active", "paused", "archived"]
    discount_type: DiscountType
    discount_value: Decimal
    per_user_limit: int | None
    total_usage_limit: int | None
    apply_to: Literal["all", "products"]
    starts_at: datetime | None
    ends_at: datetime | None
    products: Sequence[ProductTerms] = ()

    def terms_for(self, purchase: Purchase) -> ProductTerms | None:
        """The terms of the purchase's product, if the offer names it."""
        if not self.products:
            return None
        covering = [terms for terms in self.products if terms.covers(purchase)]
        return max(covering, key=lambda terms: terms.precision, default=None)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a user stands towards an offer, apart from what they used already."""

    allowed: bool
    eligible: bool
    explanation: tuple[RuleResult, ...] | None = None


STRANGER: Final = Standing(allowed=False, eligible=False)
"""How everybody stands towards an offer that isn't there."""


@dataclass(frozen=True, slots=True)
class Uses:
    """Standing redemptions of an offer: all of them, and this user's."""

    total: int
    by_user: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The purchase may use the offer at this price."""

    price: Price


@dataclass(frozen=True, slots=True)
class Rejected:
    """The purchase may not use the offer."""

    reason: Reason
    price: Price


Decision = Accepted | Rejected


def decide(purchase: Purchase, offer: Offer | None, standing: Standing, uses: Uses, now: datetime) -> Decision:
    """Decide one purchase against one offer at an instant."""
    terms = offer.terms_for(purchase) if offer is not None else None
    reason = first_reason(purchase, offer, terms, standing, uses, now)
    if reason is not None:
        return Rejected(reason, full_price(purchase.unit_price, purchase.quantity))
    assert offer is not None
    return Accepted(
        discounted_price(
            purchase.unit_price,
            purchase.quantity,
            offer.discount_type,
            offer.discount_value,
            terms.price_override if terms is not None else None,
        )
    )


def refuse_revoke(request: RevokeRequest, redemption: Redemption | None, now: datetime) -> Reason | None:
    """The first reason to refuse a revoke, in the contract's order; None if there is none."""
    if request.deadline is not None and now > request.deadline:
        return "deadline_passed"
    if redemption is None:
        return "redemption_not_found"
    return "already_revoked" if redemption.revoked_at is not None else None


def first_reason(
    purchase: Purchase,
    offer: Offer | None,
    terms: ProductTerms | None,
    standing: Standing,
    uses: Uses,
    now: datetime,
) -> Reason | None:
    """The first reason to refuse, in the contract's order; None if there is none."""
    if purchase.deadline is not None and now > purchase.deadline:
        return "deadline_passed"
    if offer is None:
        return "offer_not_found"
    return _closed(offer, now) or _uncovered(purchase, offer, terms) or _refused(offer, standing, uses)


def _closed(offer: Offer, now: datetime) -> Reason | None:
    if offer.status != "active":
        return "offer_inactive"
    if offer.starts_at is not None and now < offer.starts_at:
        return "offer_not_started"
    if offer.ends_at is not None and now >= offer.ends_at:
        return "offer_ended"
    return None


def _uncovered(purchase: Purchase, offer: Offer, terms: ProductTerms | None) -> Reason | None:
    if terms is None:
        return "product_not_covered" if offer.apply_to == "products" else None
    quantity_max = terms.max_quantity_per_purchase
    return "quantity_exceeded" if quantity_max is not None and purchase.quantity > quantity_max else None


def _refused(offer: Offer, standing: Standing, uses: Uses) -> Reason | None:
    if not standing.allowed:
        return "user_not_allowed"
    if not standing.eligible:
        return "not_eligible"
    if offer.per_user_limit is not None and uses.by_user >= offer.per_user_limit:
        return "per_user_limit_reached"
    if offer.total_usage_limit is not None and uses.total >= offer.total_usage_limit:
        return "offer_exhausted"
    return None
