"""Content of an offer: checked field by field, merged, compared in words; and lists of users."""

from typing import Any, Final
from uuid import UUID

import pytest

from services.admin.content import Content, FieldProblem, alike, check, content_of, merge
from services.admin.difference import Difference, differences
from services.admin.models import OfferDraft
from services.admin.user_lists import UserList, read_users

MTN: Final = UUID(int=7)
PRODUCT: Final = str(UUID(int=9))


def rule(key: str, **fields: Any) -> dict[str, Any]:
    return {
        "rule_key": key,
        "rule_type": "min_topups",
        "description": "",
        "enabled": True,
        "params": {"count": "2"},
    } | fields


def content(**fields: Any) -> Content:
    return {
        "code": "SPRING",
        "title": "Spring",
        "description": "",
        "discount_type": "percentage",
        "discount_value": "10.00",
        "per_user_limit": "",
        "total_usage_limit": None,
        "starts_at": None,
        "ends_at": "",
        "apply_to": "all",
        "products": [],
        "allow_all": True,
        "allowed_roles": [],
        "eligibility_logic": "all",
        "rules": [],
    } | fields


def test_text_of_a_form_becomes_a_whole_offer() -> None:
    checked = check(
        content(per_user_limit=" 3 ", ends_at="2026-12-01T10:00Z", rules=[rule("two", enabled=False)]), [MTN]
    )
    assert isinstance(checked, OfferDraft)
    assert checked.per_user_limit == 3
    assert checked.allowed_users == [MTN]
    assert content_of(checked) == content(
        per_user_limit=3,
        ends_at="2026-12-01T10:00:00Z",
        rules=[rule("two", enabled=False, params={"count": 2})],
    )


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"title": " "}, "title", "is needed"),
        ({"code": ""}, "code", "is needed"),
        ({"discount_value": "ten"}, "discount_value", "must be an amount, like 50.00"),
        ({"discount_value": "1.005"}, "discount_value", "has at most 2 places after the point"),
        ({"discount_value": "101"}, "discount_value", "a percentage is at most 100"),
        ({"per_user_limit": "0"}, "per_user_limit", "must be at least 1"),
        ({"per_user_limit": "many"}, "per_user_limit", "must be a whole number"),
        ({"starts_at": "2026-12-02T10:00Z", "ends_at": "2026-12-01T10:00Z"}, "ends_at", "must be later than starts_at"),
        ({"apply_to": "products"}, "products", "an offer that applies to products needs at least one"),
        (
            {"products": [{"price_override": "5"}]},
            "products.0",
            "operator_product_id or supplier_product_mapping_id is needed",
        ),
        ({"rules": [rule("a"), rule("b", params={})]}, "rules.1.params.count", "is needed"),
        ({"rules": [rule("a", params={"count": "1.5"})]}, "rules.0.params.count", "must be a whole number"),
        ({"rules": [rule("a", params={"count": "0"})]}, "rules.0.params.count", "must be at least 1"),
        ({"rules": [rule("a", rule_type="strange")]}, "rules.0", "is a kind of rule that is not known here"),
        ({"rules": [rule("a"), rule("a")]}, "rules", "two rules have the rule_key a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_field(fields: dict[str, Any], field: str, message: str) -> None:
    assert check(content(**fields), []) == [FieldProblem(field, message)]


def test_what_a_form_shows_the_same_is_alike() -> None:
    typed = content(per_user_limit="5", ends_at="", rules=[rule("a", params={"count": "2", "window_days": ""})])
    stored = content(per_user_limit=5, ends_at=None, rules=[rule("a", params={"count": 2})])
    assert alike(typed, stored)
    assert not alike(typed, content(per_user_limit="5", rules=[rule("a", enabled=False)]))


def test_changes_of_both_sides_come_together() -> None:
    base = content(rules=[rule("a"), rule("b"), rule("c")])
    mine = base | {"title": "Mine", "rules": [rule("a", params={"count": "9"}), rule("b"), rule("new")]}
    theirs = base | {
        "discount_value": "20.00",
        "rules": [rule("a"), rule("b", description="theirs"), rule("c"), rule("d")],
    }
    merged, conflicts = merge(base, mine, theirs)
    assert conflicts == []
    assert merged == base | {
        "title": "Mine",
        "discount_value": "20.00",
        "rules": [rule("a", params={"count": "9"}), rule("b", description="theirs"), rule("new"), rule("d")],
    }  # fmt: skip


def test_where_both_sides_changed_a_field_mine_stands_and_it_is_said() -> None:
    base = content(rules=[rule("a")])
    mine = base | {"title": "Mine", "code": "SAME", "rules": [rule("a", params={"count": "9"})]}
    theirs = base | {"title": "Theirs", "code": "SAME", "rules": [rule("a", params={"count": "8"})]}
    merged, conflicts = merge(base, mine, theirs)
    assert conflicts == ["title", "rules.a"]
    assert merged == mine


def test_a_rule_they_removed_is_gone_unless_i_changed_it() -> None:
    base = content(rules=[rule("a"), rule("b")])
    mine = base | {"rules": [rule("a", params={"count": "9"}), rule("b")]}
    merged, conflicts = merge(base, mine, base | {"rules": []})
    assert merged["rules"] == [rule("a", params={"count": "9"})]
    assert conflicts == ["rules.a"]


def test_differences_are_told_in_words() -> None:
    before = content(
        per_user_limit=None, ends_at=None, rules=[rule("a", params={"count": 2}), rule("b", params={"count": 3})]
    )
    after = content(
        discount_type="fixed_amount",
        discount_value="10.00",
        per_user_limit=5,
        ends_at="2026-12-01T10:00:00Z",
        allow_all=False,
        allowed_roles=["vip"],
        products=[
            {
                "operator_product_id": PRODUCT,
                "supplier_product_mapping_id": None,
                "price_override": "7.50",
                "max_quantity_per_purchase": 3,
            }
        ],
        rules=[
            rule("b", params={"count": 3}, enabled=False),
            rule(
                "m", rule_type="operator_spent", params={"operator_id": str(MTN), "amount": "50.00", "window_days": 30}
            ),
        ],
    )
    assert differences(before, after, {MTN: "MTN"}) == [
        Difference("Discount", "10% off", "10.00 off each purchase"),
        Difference("Uses by one user", "unlimited", "5"),
        Difference("Ends", "never", "1 Dec 2026, 10:00 UTC"),
        Difference("Product", None, f"product {PRODUCT}, at 7.50, at most 3 a purchase"),
        Difference("Open to", "everybody", "chosen users and roles"),
        Difference("Roles", "nothing", "vip"),
        Difference("Rule", "at least 2 topups", None),
        Difference("Rule", "at least 3 topups", "at least 3 topups, switched off"),
        Difference("Rule", None, "at least 50.00 spent on MTN in the last 30 days"),
    ]  # fmt: skip
    assert differences(before, before, {}) == []


def test_another_order_of_rules_is_a_difference() -> None:
    one, other = content(rules=[rule("a"), rule("b")]), content(rules=[rule("b"), rule("a")])
    assert differences(one, other, {}) == [Difference("Order of the rules", "a, b", "b, a")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", UserList()),
        (f"{MTN}\n\n {MTN} \n", UserList({MTN})),
        (f"{MTN.hex}\nabc\n", UserList({MTN}, [(2, "“abc” is no user id")])),
        (f"name,user_id\nAnn,{MTN}\nBob\n", UserList({MTN}, [(3, "has no column 2")])),
        (f"user_id;since\n{MTN};2024\n", UserList({MTN})),
        (f'"{MTN}",x\n', UserList({MTN})),
    ],
)
def test_lists_of_users_are_read_line_by_line(text: str, found: UserList) -> None:
    assert read_users(text) == found
