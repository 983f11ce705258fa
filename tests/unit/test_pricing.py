"""Discount arithmetic, by table."""

from decimal import Decimal as D

import pytest

from shared.pricing import DiscountType, discounted_price


@pytest.mark.parametrize(
    ("unit_price", "quantity", "kind", "value", "product_price", "price", "discount", "paid"),
    [
        ("100.00", 1, "percentage", "10", None, "100.00", "10.00", "90.00"),
        ("19.99", 3, "percentage", "12.50", None, "59.97", "7.50", "52.47"),  # 7.49625 rounds up
        ("0.05", 1, "percentage", "50", None, "0.05", "0.03", "0.02"),  # 0.025 rounds half up
        ("0.01", 1, "percentage", "50", None, "0.01", "0.01", "0.00"),
        ("0.01", 1, "percentage", "49", None, "0.01", "0.00", "0.01"),
        ("10.00", 2, "percentage", "100", None, "20.00", "20.00", "0.00"),
        ("10.00", 2, "percentage", "0", None, "20.00", "0.00", "20.00"),
        ("30.00", 2, "fixed_amount", "25.00", None, "60.00", "25.00", "35.00"),
        ("30.00", 2, "fixed_amount", "60.01", None, "60.00", "60.00", "0.00"),
        ("30.00", 2, "price_override", "20.00", None, "60.00", "20.00", "40.00"),
        ("30.00", 2, "price_override", "0.00", None, "60.00", "60.00", "0.00"),
        ("30.00", 2, "price_override", "31.00", None, "60.00", "0.00", "60.00"),
        ("30.00", 3, "percentage", "10", "25.50", "90.00", "13.50", "76.50"),
        ("30.00", 1, "percentage", "10", "99.00", "30.00", "0.00", "30.00"),
        ("0.00", 5, "percentage", "10", None, "0.00", "0.00", "0.00"),
        ("9999999.99", 1000, "percentage", "33.33", None, "9999999990.00", "3332999996.67", "6666999993.33"),
    ],
)
def test_prices(
    unit_price: str,
    quantity: int,
    kind: DiscountType,
    value: str,
    product_price: str | None,
    price: str,
    discount: str,
    paid: str,
) -> None:
    own_price = None if product_price is None else D(product_price)
    result = discounted_price(D(unit_price), quantity, kind, D(value), own_price)
    assert [str(result.price), str(result.discount_amount), str(result.price_paid)] == [price, discount, paid]
