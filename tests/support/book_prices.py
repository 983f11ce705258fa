"""What a purchase costs under an offer, in whole cents, by hand from the contract: the model's arithmetic.

A half cent goes up. Nothing costs less than nothing, and no discount makes a purchase dearer.
"""

from dataclasses import dataclass
from typing import Literal

Discount = Literal["percentage", "fixed_amount", "price_override"]


@dataclass(frozen=True, slots=True)
class Bill:
    """A purchase in cents."""

    price: int
    discount: int

    @property
    def paid(self) -> int:
        """What is left to pay."""
        return self.price - self.discount


def money(cents: int) -> str:
    """Cents as the contract writes money."""
    return f"{cents // 100}.{cents % 100:02d}"


def bill(unit_cents: int, quantity: int, discount: Discount, hundredths: int, own_price_cents: int | None) -> Bill:
    """The purchase under an offer: `hundredths` of a percent or of the currency, or the product's own price."""
    price = unit_cents * quantity
    if own_price_cents is not None:
        saving = (unit_cents - own_price_cents) * quantity
    elif discount == "price_override":
        saving = (unit_cents - hundredths) * quantity
    elif discount == "fixed_amount":
        saving = hundredths
    else:
        whole, rest = divmod(price * hundredths, 10_000)
        saving = whole + 1 if rest >= 5_000 else whole
    return Bill(price, sorted((0, saving, price))[1])
