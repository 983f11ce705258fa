"""decide() by table: each reason, their order, and the edges in time and count."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.redemption.decision import Accepted, Offer, ProductTerms, Rejected, Standing, Uses, decide
from shared.events.redemption_requests import RedeemRequest

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
PRODUCT, MAPPING, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
UNUSED = Uses(0, 0)
MEMBER = Standing(allowed=True, eligible=True)
OFFER = Offer(
    id=UUID(int=9),
    code="TEN",
    title="Ten percent off",
    status="active",
    discount_type="percentage",
    discount_value=Decimal(10),
    per_user_limit=2,
    total_usage_limit=5,
    apply_to="all",
    starts_at=None,
    ends_at=None,
)


def request(**fields: Any) -> RedeemRequest:
    values = {"request_id": UUID(int=7), "user_id": UUID(int=8), "offer_id": OFFER.id, "unit_price": "100"}
    return RedeemRequest.model_validate(values | fields)


def reason(offer: Offer | None, standing: Standing = MEMBER, uses: Uses = UNUSED, **fields: Any) -> str | None:
    decision = decide(request(**fields), offer, standing, uses, NOW)
    return decision.reason if isinstance(decision, Rejected) else None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"status": "draft"}, "offer_inactive"),
        ({"status": "paused"}, "offer_inactive"),
        ({"status": "archived"}, "offer_inactive"),
        ({"starts_at": NOW}, None),
        ({"starts_at": NOW + TICK}, "offer_not_started"),
        ({"ends_at": NOW}, "offer_ended"),
        ({"ends_at": NOW + TICK}, None),
        ({"apply_to": "products"}, "product_not_covered"),
    ],
)
def test_the_offer_must_be_open(changes: dict[str, Any], expected: str | None) -> None:
    assert reason(replace(OFFER, **changes)) == expected


@pytest.mark.parametrize(
    ("standing", "uses", "expected"),
    [
        (Standing(allowed=False, eligible=False), Uses(5, 2), "user_not_allowed"),
        (Standing(allowed=True, eligible=False), Uses(5, 2), "not_eligible"),
        (MEMBER, Uses(5, 2), "per_user_limit_reached"),
        (MEMBER, Uses(5, 1), "offer_exhausted"),
        (MEMBER, Uses(4, 1), None),
    ],
)
def test_the_user_must_stand_well_and_uses_be_left(standing: Standing, uses: Uses, expected: str | None) -> None:
    assert reason(OFFER, standing, uses) == expected


def test_offers_without_limits_never_run_out() -> None:
    assert reason(replace(OFFER, per_user_limit=None, total_usage_limit=None), uses=Uses(10**9, 10**9)) is None


def test_reasons_come_in_the_contracts_order() -> None:
    """Everything wrong at once; each repair uncovers the next reason."""
    terms = (ProductTerms(PRODUCT, None, max_quantity_per_purchase=1),)
    offer = replace(
        OFFER,
        status="paused",
        starts_at=NOW + TICK,
        ends_at=NOW - TICK,
        apply_to="products",
        products=terms,
    )
    nobody, full = Standing(allowed=False, eligible=False), Uses(5, 2)
    late: dict[str, Any] = {"deadline": NOW - TICK, "quantity": 2}
    assert reason(None, nobody, full, **late) == "deadline_passed"
    fine: dict[str, Any] = {"deadline": NOW, "quantity": 2}
    assert reason(None, nobody, full, **fine) == "offer_not_found"
    assert reason(offer, nobody, full, **fine) == "offer_inactive"
    offer = replace(offer, status="active")
    assert reason(offer, nobody, full, **fine) == "offer_not_started"
    offer = replace(offer, starts_at=None)
    assert reason(offer, nobody, full, **fine) == "offer_ended"
    offer = replace(offer, ends_at=None)
    assert reason(offer, nobody, full, **fine) == "product_not_covered"
    fine["operator_product_id"] = PRODUCT
    assert reason(offer, nobody, full, **fine) == "quantity_exceeded"
    fine["quantity"] = 1
    assert reason(offer, nobody, full, **fine) == "user_not_allowed"
    assert reason(offer, replace(nobody, allowed=True), full, **fine) == "not_eligible"
    assert reason(offer, MEMBER, full, **fine) == "per_user_limit_reached"
    assert reason(offer, MEMBER, Uses(5, 0), **fine) == "offer_exhausted"
    assert reason(offer, MEMBER, Uses(4, 0), **fine) is None


@pytest.mark.parametrize(
    ("terms", "fields", "paid"),
    [
        ([ProductTerms(PRODUCT, None)], {"operator_product_id": PRODUCT}, "90.00"),
        ([ProductTerms(None, MAPPING)], {"supplier_product_mapping_id": MAPPING}, "90.00"),
        ([ProductTerms(PRODUCT, MAPPING)], {"operator_product_id": PRODUCT}, None),
        ([ProductTerms(PRODUCT, None)], {"operator_product_id": OTHER}, None),
        (
            [ProductTerms(PRODUCT, None, Decimal(80)), ProductTerms(PRODUCT, MAPPING, Decimal(70))],
            {"operator_product_id": PRODUCT, "supplier_product_mapping_id": MAPPING},
            "70.00",
        ),
        (
            [ProductTerms(PRODUCT, None, Decimal(80)), ProductTerms(PRODUCT, MAPPING, Decimal(70))],
            {"operator_product_id": PRODUCT, "supplier_product_mapping_id": OTHER},
            "80.00",
        ),
    ],
)
def test_products_are_matched_by_the_ids_they_name(
    terms: list[ProductTerms], fields: dict[str, Any], paid: str | None
) -> None:
    offer = replace(OFFER, apply_to="products", products=tuple(terms))
    decision = decide(request(**fields), offer, MEMBER, Uses(0, 0), NOW)
    if paid is None:
        assert isinstance(decision, Rejected)
        assert decision.reason == "product_not_covered"
    else:
        assert isinstance(decision, Accepted)
        assert str(decision.price.price_paid) == paid


def test_a_refused_purchase_still_has_its_full_price() -> None:
    decision = decide(request(quantity=3), None, MEMBER, Uses(0, 0), NOW)
    assert [decision.price.price, decision.price.discount_amount, decision.price.price_paid] == [300, 0, 300]
