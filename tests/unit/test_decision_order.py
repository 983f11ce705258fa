"""decide() by table, completed: each reason beats every later one, and each limit on both sides of its edge."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any, Final

import pytest

from services.redemption.decision import Accepted, ProductTerms, Rejected, Standing, Uses, decide
from tests.unit.test_decision import MEMBER, NOW, OFFER, OTHER, PRODUCT, TICK, request

DAY: Final = timedelta(days=1)
TWO_AT_MOST: Final = (ProductTerms(PRODUCT, None, max_quantity_per_purchase=2),)


@dataclass(frozen=True)
class Fault:
    """What is wrong for one reason and no other."""

    reason: str
    purchase: dict[str, Any] = field(default_factory=dict)
    offer: dict[str, Any] = field(default_factory=dict)
    standing: dict[str, Any] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=dict)


FAULTS: Final = [
    Fault("deadline_passed", purchase={"deadline": NOW - TICK}),
    Fault("offer_not_found"),
    Fault("offer_inactive", offer={"status": "paused"}),
    Fault("offer_not_started", offer={"starts_at": NOW + TICK}),
    Fault("offer_ended", offer={"ends_at": NOW}),
    Fault("product_not_covered", purchase={"operator_product_id": OTHER}, offer={"apply_to": "products"}),
    Fault("quantity_exceeded", purchase={"quantity": 3}),
    Fault("user_not_allowed", standing={"allowed": False}),
    Fault("not_eligible", standing={"eligible": False}),
    Fault("per_user_limit_reached", uses={"by_user": 2}),
    Fault("offer_exhausted", uses={"total": 5}),
]
"""In the contract's order, for two of a product under an offer that names the product."""


def judged(*faults: Fault) -> str | None:
    """The reason given when all of these are wrong."""
    fields: dict[str, Any] = {"operator_product_id": PRODUCT, "quantity": 2}
    offer, standing, uses = replace(OFFER, products=TWO_AT_MOST), MEMBER, Uses(4, 1)
    for fault in faults:
        fields |= fault.purchase
        offer = replace(offer, **fault.offer)
        standing = replace(standing, **fault.standing)
        uses = replace(uses, **fault.uses)
    unknown = any(fault.reason == "offer_not_found" for fault in faults)
    decision = decide(request(**fields), None if unknown else offer, standing, uses, NOW)
    if isinstance(decision, Accepted):
        return None
    assert decision.price.discount_amount == 0, "what is refused saves nothing"
    return decision.reason


def test_with_nothing_wrong_the_purchase_is_accepted() -> None:
    assert judged() is None


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.reason)
def test_each_fault_alone_gives_its_reason(fault: Fault) -> None:
    assert judged(fault) == fault.reason


@pytest.mark.parametrize(
    ("first", "later"),
    list(combinations(FAULTS, 2)),
    ids=lambda fault: fault.reason if isinstance(fault, Fault) else None,
)
def test_each_reason_beats_every_later_one(first: Fault, later: Fault) -> None:
    assert judged(first, later) == first.reason
    assert judged(later, first) == first.reason


@pytest.mark.parametrize(
    ("purchase", "expected"),
    [
        ({"deadline": None}, None),
        ({"deadline": NOW - DAY}, "deadline_passed"),
        ({"deadline": NOW - TICK}, "deadline_passed"),
        ({"deadline": NOW}, None),
        ({"deadline": NOW + TICK}, None),
        ({"quantity": 1}, None),
        ({"quantity": 2}, None),
        ({"quantity": 3}, "quantity_exceeded"),
        ({"quantity": 1_000_000, "operator_product_id": OTHER}, None),
    ],
)
def test_deadlines_and_quantities_at_their_edges(purchase: dict[str, Any], expected: str | None) -> None:
    assert judged(Fault("", purchase=purchase)) == expected


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        ({"starts_at": NOW - TICK}, None),
        ({"starts_at": NOW}, None),
        ({"starts_at": NOW + TICK}, "offer_not_started"),
        ({"ends_at": NOW - TICK}, "offer_ended"),
        ({"ends_at": NOW}, "offer_ended"),
        ({"ends_at": NOW + TICK}, None),
        ({"starts_at": NOW, "ends_at": NOW + TICK}, None),
        ({"starts_at": NOW - TICK, "ends_at": NOW}, "offer_ended"),
        ({"starts_at": NOW + TICK, "ends_at": NOW + DAY}, "offer_not_started"),
    ],
)
def test_a_window_holds_its_start_and_not_its_end(offer: dict[str, Any], expected: str | None) -> None:
    assert judged(Fault("", offer=offer)) == expected


@pytest.mark.parametrize(
    ("per_user", "total", "uses", "expected"),
    [
        (1, 1, Uses(0, 0), None),
        (1, None, Uses(1, 1), "per_user_limit_reached"),
        (1, None, Uses(7, 0), None),
        (3, None, Uses(2, 2), None),
        (3, None, Uses(3, 3), "per_user_limit_reached"),
        (3, None, Uses(4, 4), "per_user_limit_reached"),  # lowered below what was used
        (None, 1, Uses(1, 0), "offer_exhausted"),
        (None, 3, Uses(2, 2), None),
        (None, 3, Uses(3, 3), "offer_exhausted"),
        (None, 3, Uses(4, 4), "offer_exhausted"),
        (2, 2, Uses(2, 2), "per_user_limit_reached"),
        (2, 2, Uses(2, 1), "offer_exhausted"),
    ],
)
def test_limits_hold_from_the_use_that_reaches_them(
    per_user: int | None, total: int | None, uses: Uses, expected: str | None
) -> None:
    offer = replace(OFFER, per_user_limit=per_user, total_usage_limit=total)
    decision = decide(request(), offer, MEMBER, uses, NOW)
    assert (decision.reason if isinstance(decision, Rejected) else None) == expected


def test_a_user_outside_the_allow_list_is_not_allowed_even_if_eligible() -> None:
    decision = decide(request(), OFFER, Standing(allowed=False, eligible=True), Uses(0, 0), NOW)
    assert isinstance(decision, Rejected)
    assert decision.reason == "user_not_allowed"


@pytest.mark.parametrize(
    ("terms", "fields", "paid"),
    [
        ((), {"operator_product_id": PRODUCT}, "90.00"),
        ((ProductTerms(PRODUCT, None, Decimal(70)),), {"operator_product_id": PRODUCT}, "70.00"),
        ((ProductTerms(PRODUCT, None, Decimal(70)),), {"operator_product_id": OTHER}, "90.00"),
        ((ProductTerms(PRODUCT, None, Decimal(70)),), {}, "90.00"),
        ((ProductTerms(PRODUCT, None),), {"operator_product_id": PRODUCT}, "90.00"),
    ],
)
def test_an_offer_for_all_products_still_has_its_terms_for_those_it_names(
    terms: tuple[ProductTerms, ...], fields: dict[str, Any], paid: str
) -> None:
    decision = decide(request(**fields), replace(OFFER, products=terms), MEMBER, Uses(0, 0), NOW)
    assert isinstance(decision, Accepted)
    assert str(decision.price.price_paid) == paid
