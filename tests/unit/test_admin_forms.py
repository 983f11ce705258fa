"""The editor's form: what it says, and what its buttons do."""

from copy import deepcopy
from typing import Any, Final
from uuid import UUID

import pytest

from services.admin.content import Content
from services.admin.pages.forms import apply, content_of_form, local_time

MTN: Final = UUID(int=7)
FORM: Final = [
    ("revision", "3"),
    ("title", "Spring "),
    ("code", "SPRING"),
    ("discount_type", "percentage"),
    ("discount_value", "10"),
    ("starts_at", "2026-11-25T08:30"),
    ("starts_at.exact", ""),
    ("ends_at.exact", "2026-12-01T10:00:00.123456Z"),
    ("ends_at", "2026-12-01T10:00"),
    ("per_user_limit", "abc"),
    ("apply_to", "all"),
    ("allow_all", "false"),
    ("allowed_roles", "vip, agent, vip,"),
    ("eligibility_logic", "any"),
    ("rules.1.rule_key", "mtn"),
    ("rules.1.rule_type", "operator_spent"),
    ("rules.1.enabled", "true"),
    ("rules.1.params.operator_id", "mtn"),
    ("rules.1.params.amount", "50"),
    ("rules.1.params.window_days", " "),
    ("rules.1.description", "for the south"),
    ("rules.0.rule_key", "new"),
    ("rules.0.rule_type", "new_user"),
    ("rules.0.enabled", "false"),
    ("rules.0.params.account_age_days", "x"),
    ("rules.0.description", ""),
]


def rule(key: str, rule_type: str = "min_topups", **params: Any) -> dict[str, Any]:
    return {"rule_key": key, "rule_type": rule_type, "description": "", "enabled": True, "params": params}


def keys(content: Content) -> list[str]:
    return [rule["rule_key"] for rule in content["rules"]]


def test_a_form_is_read_as_typed_in_the_order_of_the_page() -> None:
    assert content_of_form(FORM, {MTN: "MTN"}) == {
        "code": "SPRING",
        "title": "Spring ",
        "description": "",
        "discount_type": "percentage",
        "discount_value": "10",
        "per_user_limit": "abc",
        "total_usage_limit": "",
        "apply_to": "all",
        "eligibility_logic": "any",
        "starts_at": "2026-11-25T08:30Z",
        "ends_at": "2026-12-01T10:00:00.123456Z",
        "allow_all": False,
        "allowed_roles": ["agent", "vip"],
        "products": [],
        "rules": [
            {
                "rule_key": "mtn",
                "rule_type": "operator_spent",
                "description": "for the south",
                "enabled": True,
                "params": {"operator_id": str(MTN), "amount": "50"},
            },
            {
                "rule_key": "new",
                "rule_type": "new_user",
                "description": "",
                "enabled": False,
                "params": {"account_age_days": "x"},
            },
        ],
    }


@pytest.mark.parametrize(
    ("operation", "expected", "focus"),
    [
        ("rules.add:min_topups", ["a", "b", "c", "min_topups"], "rules.3.params.count"),
        ("rules.add:unknown", ["a", "b", "c"], None),
        ("rules.duplicate:b", ["a", "b", "b-2", "c"], "rules.2.params.count"),
        ("rules.remove:a", ["b", "c"], "rule-0"),
        ("rules.remove:c", ["a", "b"], "rule-1"),
        ("rules.remove:x", ["a", "b", "c"], "rule-0"),
        ("rules.up:c", ["a", "c", "b"], "rule-1-up"),
        ("rules.up:b", ["b", "a", "c"], "rule-0"),
        ("rules.up:a", ["a", "b", "c"], None),
        ("rules.down:a", ["b", "a", "c"], "rule-1-down"),
        ("rules.down:c", ["a", "b", "c"], None),
        ("rules.down:x", ["a", "b", "c"], None),
        ("nonsense", ["a", "b", "c"], None),
    ],
)
def test_buttons_change_the_rules_and_say_where_to_look_next(
    operation: str, expected: list[str], focus: str | None
) -> None:
    content = {"rules": [rule("a", count=1), rule("b", count=2), rule("c", count=3)], "products": []}
    assert apply(content, operation) == focus
    assert keys(content) == expected


def test_a_duplicate_shares_nothing_with_its_original() -> None:
    content = {"rules": [rule("spent-2", "min_spent", amount="5")]}
    before = deepcopy(content["rules"][0])
    apply(content, "rules.duplicate:spent-2")
    content["rules"][1]["params"]["amount"] = "6"
    assert content["rules"][0] == before
    assert keys(content) == ["spent-2", "spent"]


def test_rules_are_switched_and_products_come_and_go() -> None:
    content = {"rules": [rule("a")], "products": []}
    assert apply(content, "rules.toggle:a") == "rule-0-toggle"
    assert content["rules"][0]["enabled"] is False
    assert apply(content, "products.add") == "products.0.operator_product_id"
    assert len(content["products"]) == 1
    apply(content, "products.remove:0")
    assert content["products"] == []


def test_fifty_rules_are_the_most() -> None:
    content = {"rules": [rule(f"r{number}") for number in range(50)]}
    assert apply(content, "rules.add:min_topups") is None
    assert apply(content, "rules.duplicate:r0") is None
    assert len(content["rules"]) == 50


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (None, ""),
        ("2026-11-25T08:30:00Z", "2026-11-25T08:30"),
        ("2026-11-25T08:30:15Z", "2026-11-25T08:30:15"),
        ("2026-11-25T08:30:00.250000Z", "2026-11-25T08:30"),
        ("2026-11-25T08:30Z", "2026-11-25T08:30"),
    ],
)
def test_times_are_shown_as_an_input_takes_them(stored: str | None, shown: str) -> None:
    assert local_time(stored) == shown
