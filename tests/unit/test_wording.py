"""Rules, terms and refusals in plain English."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.admin import wording
from services.admin.models import OfferDraft, StoredRule
from services.admin.phrases import moment_text
from services.admin.wording import (
    audience_text,
    discount_text,
    limits_text,
    measure_text,
    reason_text,
    rule_sentence,
    rules_sentence,
    terms_sentence,
    window_text,
)
from shared.events.redemption_replies import Reason
from shared.rules import RULE, json_schema

MTN, UNNAMED = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
NAMES = {UUID(MTN): "MTN"}


@pytest.mark.parametrize(
    ("rule_type", "params", "sentence"),
    [
        ("new_user", {"account_age_days": 30}, "an account at most 30 days old"),
        ("new_user", {"account_age_days": 1}, "an account at most 1 day old"),
        ("min_topups", {"count": 1}, "at least 1 topup"),
        ("min_topups", {"count": 2, "window_days": 30}, "at least 2 topups in the last 30 days"),
        ("min_transactions", {"count": 1000, "window_days": 1}, "at least 1,000 transactions in the last day"),
        ("min_spent", {"amount": "5000.00"}, "at least 5,000.00 spent"),
        ("min_spent", {"amount": Decimal("0.5"), "window_days": 7}, "at least 0.50 spent in the last 7 days"),
        (
            "operator_topup_count",
            {"operator_id": MTN, "count": 2, "window_days": 30},
            "at least 2 topups on MTN in the last 30 days",
        ),
        (
            "operator_topup_count",
            {"operator_id": UUID(UNNAMED), "count": 2, "window_days": None},
            f"at least 2 topups on operator {UNNAMED}",
        ),
        ("operator_spent", {"operator_id": MTN, "amount": "50.00"}, "at least 50.00 spent on MTN"),
        (
            "active_days",
            {"count": 3, "window_days": 14},
            "transactions on at least 3 different days in the last 14 days",
        ),
        ("last_active_within", {"window_days": 7}, "a transaction in the last 7 days"),
    ],
)
def test_each_kind_of_rule_has_its_sentence(rule_type: str, params: dict[str, Any], sentence: str) -> None:
    assert rule_sentence(rule_type, params, NAMES) == sentence


def test_no_kind_of_rule_is_left_without_a_sentence_of_its_own() -> None:
    known = set(json_schema()["discriminator"]["mapping"])
    assert {kind for kind in known if "(" in rule_sentence(kind, {"count": 1, "amount": 1}, {})} == set()


@pytest.mark.parametrize(
    ("rule_type", "params", "sentence"),
    [
        ("max_refunds", {"count": 2, "window_days": 30}, "max refunds (count 2) in the last 30 days"),
        ("topup_of", {"operator_id": MTN, "amount": "12.50"}, "topup of (amount 12.5) on MTN"),
        ("has_email", {"verified": True}, "has email (verified yes)"),
        ("lives_in", {"cities": ["Accra", "Lagos"]}, "lives in (cities Accra and Lagos)"),
        ("vip", {}, "vip"),
    ],
)
def test_a_kind_of_rule_without_a_sentence_is_described_by_what_it_says(
    rule_type: str, params: dict[str, Any], sentence: str
) -> None:
    assert rule_sentence(rule_type, params, NAMES) == sentence


def test_a_new_kind_of_rule_is_described_by_the_titles_of_its_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {
        "discriminator": {"mapping": {"max_gap": "#/$defs/MaxGapRule"}},
        "$defs": {
            "MaxGapRule": {"properties": {"params": {"$ref": "#/$defs/GapParams"}}},
            "GapParams": {"properties": {"gap_h": {"title": "Longest gap in hours"}, "other": {}}},
        },
    }
    monkeypatch.setattr(wording, "json_schema", lambda: schema)
    assert rule_sentence("max_gap", {"gap_h": 36, "other": 1}, {}) == "max gap (longest gap in hours 36, other 1)"


@pytest.mark.parametrize(
    ("rule_type", "params", "sentence"),
    [
        ("min_topups", {}, "at least … topups"),
        ("min_topups", {"count": "", "window_days": ""}, "at least … topups"),
        ("min_topups", {"count": "many"}, "at least many topups"),
        ("operator_spent", {"amount": None}, "at least … spent on …"),
        ("operator_spent", {"amount": "5", "operator_id": "no id"}, "at least 5.00 spent on …"),
        ("last_active_within", {}, "a transaction in the last … days"),
        ("min_topups", {"count": "1e999999999"}, "at least 1e999999999 topups"),
    ],
)
def test_a_half_filled_rule_is_told_as_far_as_it_goes(rule_type: str, params: dict[str, Any], sentence: str) -> None:
    assert rule_sentence(rule_type, params, NAMES) == sentence


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
PARAMS = st.sampled_from(["count", "amount", "operator_id", "window_days", "account_age_days", "other"])


@given(
    st.sampled_from([*json_schema()["discriminator"]["mapping"], "new_kind", ""]),
    st.dictionaries(PARAMS, SCALARS | st.lists(SCALARS, max_size=2)),
)
def test_whatever_a_form_holds_has_a_sentence(rule_type: str, params: dict[str, Any]) -> None:
    assert isinstance(rule_sentence(rule_type, params, NAMES), str)


TOPUPS = {"rule_key": "a", "rule_type": "min_topups", "params": {"count": 2}}
RECENT = {"rule_key": "b", "rule_type": "last_active_within", "params": {"window_days": 7}}
YOUNG = {"rule_key": "c", "rule_type": "new_user", "params": {"account_age_days": 30}}


@pytest.mark.parametrize(
    ("logic", "rules", "sentence"),
    [
        ("all", [], "Everybody: there are no rules"),
        ("any", [TOPUPS], "Users with at least 2 topups"),
        ("all", [TOPUPS, RECENT], "Users with all of: at least 2 topups; and a transaction in the last 7 days"),
        (
            "any",
            [TOPUPS, RECENT, YOUNG],
            "Users with at least one of: at least 2 topups; a transaction in the last 7 days; or an account at most"
            " 30 days old",
        ),
    ],
)
def test_rules_together_say_whether_all_or_one_must_pass(
    logic: str, rules: list[dict[str, Any]], sentence: str
) -> None:
    stored = [StoredRule(description="", **rule) for rule in rules]
    validated = [RULE.validate_python(rule) for rule in rules]
    for form in (rules, stored, validated):
        assert rules_sentence(logic, form, {}) == sentence


def test_rules_that_are_switched_off_let_nobody_in_or_out() -> None:
    assert rules_sentence("all", [TOPUPS, RECENT | {"enabled": False}], {}) == "Users with at least 2 topups"
    off = StoredRule(description="", enabled=False, **TOPUPS)
    assert rules_sentence("any", [off], {}) == "Everybody: there are no rules"


def test_measures_are_counts_amounts_or_days() -> None:
    assert measure_text(1200, "min_topups") == "1,200"
    assert measure_text("1200.5", "min_spent") == "1,200.50"
    assert measure_text(10.25, "last_active_within") == "10.25 days"
    assert measure_text(1, "new_user") == measure_text(1.0, "new_user") == "1 day"
    assert measure_text(None, "new_user") == "—"


def test_every_reason_has_its_words() -> None:
    assert reason_text("per_user_limit_reached") == "The user has used the offer as often as one user may"
    assert {reason for reason in get_args(Reason) if "_" in reason_text(reason)} == set()
    assert reason_text("too_far_away") == "Too far away"


NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def test_terms_are_told_in_a_sentence() -> None:
    draft = OfferDraft(
        code="A",
        title="A",
        discount_type="percentage",
        discount_value=Decimal("10.00"),
        per_user_limit=1,
        total_usage_limit=5000,
        ends_at=NOON,
    )
    assert terms_sentence(draft) == (
        "10% off on every product, until 24 Nov 2026, 12:00 UTC; at most 1 time by each user and at most"
        " 5,000 times in all."
    )


@pytest.mark.parametrize(
    ("discount_type", "value", "text"),
    [
        ("percentage", "12.50", "12.5% off"),
        ("percentage", "100.00", "100% off"),
        ("fixed_amount", "5", "5.00 off each purchase"),
        ("price_override", Decimal("1234.5"), "a price of 1,234.50"),
    ],
)
def test_discounts(discount_type: str, value: object, text: str) -> None:
    assert discount_text(discount_type, value) == text


def test_windows_limits_and_audiences() -> None:
    assert window_text(None, None) == "at any time"
    assert window_text(NOON, None) == "from 24 Nov 2026, 12:00 UTC, with no end"
    assert window_text(NOON, NOON.replace(day=25)) == "from 24 Nov 2026, 12:00 UTC until 25 Nov 2026, 12:00 UTC"
    assert limits_text(None, None) == "as often as anybody likes"
    assert limits_text(2, None) == "at most 2 times by each user"
    assert audience_text(True, 3, ["vip"]) == "Open to everybody"
    assert audience_text(False, 1, []) == "Open only to 1 chosen user"
    assert audience_text(False, 1200, ["vip", "staff"]) == (
        "Open only to 1,200 chosen users, holders of the role vip and holders of the role staff"
    )
    assert audience_text(False, 0, []) == "Open to nobody: no users and no roles are chosen"
    assert moment_text(NOON.replace(second=5)) == "24 Nov 2026, 12:00:05 UTC"
