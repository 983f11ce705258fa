"""What a purchase costs under an offer. Pure Decimal arithmetic, rounded half up to two places."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

DiscountType = Literal["percentage", "fixed_amount", "price_override"]

CENT = Decimal("0.01")
ZERO = Decimal("0.00")


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a whole purchase: `price_paid` = `price` − `discount_amount`, never below zero."""

    price: Decimal
    discount_amount: Decimal

    @property
    def price_paid(self) -> Decimal:
        """What is left to pay."""
        return self.price - self.discount_amount


def rounded(amount: Decimal) -> Decimal:
    """An amount with two decimal places, a half cent going up."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def full_price(unit_price: Decimal, quantity: int) -> Price:
    """The purchase without any offer."""
    return Price(rounded(unit_price * quantity), ZERO)


def discounted_price(
    unit_price: Decimal,
    quantity: int,
    discount_type: DiscountType,
    discount_value: Decimal,
    product_price: Decimal | None = None,
) -> Price:
    """The purchase under an offer.

    `percentage` takes so much of a hundred off the whole price, `fixed_amount` that amount once, and
    `price_override` replaces the unit price. A product's own price under the offer, `product_price`,
    replaces the unit price whatever the offer's discount is. A replacement dearer than the unit price
    saves nothing and costs nothing.
    """
    price = rounded(unit_price * quantity)
    if product_price is not None:
        saving = price - rounded(product_price * quantity)
    elif discount_type == "percentage":
        saving = rounded(price * discount_value / 100)
    elif discount_type == "fixed_amount":
        saving = rounded(discount_value)
    else:
        saving = price - rounded(discount_value * quantity)
    return Price(price, min(max(saving, ZERO), price))
