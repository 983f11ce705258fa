"""What may happen to the book of redemptions, one step after the other: values to generate, shrink and read.

Offers, users and products are small numbers, and moments are relative to the clock, so that steps meet: a
limit just reached, an offer that ends at this very instant, a repeat of a request that was revoked since.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from tests.support.book_prices import Discount
from tests.support.book_requests import Spelling
from tests.support.book_terms import Status

TICK = timedelta(microseconds=1)
Naming = Literal["id", "code", "not"]
Change = Literal["none", "quantity", "user", "naming", "revoke", "invalid"]


@dataclass(frozen=True, slots=True)
class Purchase:
    """A new redeem or quote. The offer past the last one is unknown; a quote may name none."""

    command: Literal["redeem", "quote"]
    offer: int
    named: Naming
    user: int
    product: int | None
    mapping: int | None
    quantity: int
    unit_cents: int
    deadline_in: timedelta | None
    spelling: Spelling


@dataclass(frozen=True, slots=True)
class Revocation:
    """A new revoke of what the `which`-th last redeem made, if it made anything; by both ids it is invalid."""

    which: int
    by: Literal["redemption", "request", "both"]
    deadline_in: timedelta | None


@dataclass(frozen=True, slots=True)
class Repeat:
    """The `which`-th last request again, with another deadline and perhaps other content under its request_id."""

    which: int
    change: Change
    deadline_in: timedelta | None
    spelling: Spelling


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests decided in one transaction."""

    items: tuple[Purchase | Revocation | Repeat, ...]


@dataclass(frozen=True, slots=True)
class Redelivery:
    """The `which`-th last batch once more, as after a crash before its offsets were committed."""

    which: int


@dataclass(frozen=True, slots=True)
class Topup:
    """A user's topup succeeds."""

    user: int


@dataclass(frozen=True, slots=True)
class Open:
    """Another status."""

    status: Status


@dataclass(frozen=True, slots=True)
class Limits:
    """Uses a user may have, and uses still left over all."""

    per_user: int | None
    spare: int | None


@dataclass(frozen=True, slots=True)
class Window:
    """When the offer starts and ends, from now."""

    starts_in: timedelta | None
    ends_in: timedelta | None


@dataclass(frozen=True, slots=True)
class Saving:
    """Another discount: hundredths of a percent, or cents."""

    discount: Discount
    hundredths: int


@dataclass(frozen=True, slots=True)
class NamedProduct:
    """A product by its numbers, with its own terms."""

    product: int | None
    mapping: int | None
    own_price_cents: int | None
    quantity_max: int | None


@dataclass(frozen=True, slots=True)
class Products:
    """Which products the offer names, and whether it is for them alone."""

    alone: bool
    products: tuple[NamedProduct, ...]


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whom the offer is open to, and how many topups they need."""

    allow_all: bool
    users: tuple[int, ...]
    roles: tuple[str, ...]
    topups_needed: int | None


Revision = Open | Limits | Window | Saving | Products | Allowance


@dataclass(frozen=True, slots=True)
class Edit:
    """An administrator changes an offer."""

    offer: int
    revision: Revision


@dataclass(frozen=True, slots=True)
class Pass:
    """So much time passes."""

    time: timedelta


@dataclass(frozen=True, slots=True)
class ReachEdge:
    """The next instant comes at which an offer starts or ends, or a deadline passes, give or take microseconds."""

    of: Literal["window", "deadline"]
    ticks: int


Doing = Batch | Redelivery | Topup | Edit


@dataclass(frozen=True, slots=True)
class Step:
    """Time passes, then something happens."""

    wait: Pass | ReachEdge
    do: Doing
