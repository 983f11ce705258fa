"""Audit entries in words: who, what, before and after, and why a request was decided as it was."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.admin.audit_wording import Entry, Fact, JudgedRule, entry_of
from services.admin.changes import describe_change
from services.admin.models import Offer
from services.admin.offer_changes import Change, Line
from shared.audit_log.records import FoundEvent

NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
OFFER_ID, USER, REQUEST = UUID(int=0xA), UUID(int=0xB), UUID(int=0xC)
MTN: Final = UUID(int=1)
TWO: Final = {"rule_key": "two", "rule_type": "min_topups", "params": {"count": 2}, "description": ""}
MTN_RULE: Final = {
    "rule_key": "mtn",
    "rule_type": "operator_spent",
    "params": {"operator_id": str(MTN), "amount": "50.00"},
    "description": "loyal ones",
}


def entry(type: str, data: Any, actor: str = "ada") -> Entry:
    """An event of the type, in words."""
    found = FoundEvent(
        event_id=uuid4(),
        type=type,
        actor=actor,
        entity_type="offer",
        entity_id=OFFER_ID,
        offer_id=OFFER_ID,
        user_id=None,
        occurred_at=NOON,
        data=json.dumps(data),
        recorded_at=NOON,
        chain=0,
        sequence=1,
        hash=b"\0" * 32,
    )
    return entry_of(found, {MTN: "MTN"})


def offer(**fields: Any) -> Offer:
    """An offer, unless the fields say otherwise."""
    return Offer.model_validate(
        {
            "id": OFFER_ID,
            "code": "SPRING",
            "title": "Spring",
            "description": "",
            "status": "draft",
            "discount_type": "percentage",
            "discount_value": Decimal("10.00"),
            "per_user_limit": None,
            "total_usage_limit": None,
            "usage_count": 0,
            "apply_to": "all",
            "allow_all": True,
            "eligibility_logic": "all",
            "starts_at": None,
            "ends_at": None,
            "version": 1,
            "rules_version": 1,
            "created_by": "ada",
            "created_at": NOON,
            "updated_at": NOON,
            "products": [],
            "allowed_users": [],
            "allowed_roles": [],
            "rules": [],
        }
        | fields
    )


def changed(before: Offer | None, after: Offer) -> dict[str, Change]:
    """What the audit event of a change shows, by label."""
    kind = "offer.updated" if before else "offer.created"
    told = entry(kind, describe_change(before, after) | {"by": {"token": "ada", "role": "editor"}})
    assert told.is_new == (before is None)
    return {change.label: change for change in told.changes}


def test_a_change_is_shown_side_by_side_in_words() -> None:
    found = changed(
        offer(per_user_limit=1),
        offer(
            title="Spring!",
            per_user_limit=None,
            discount_value=Decimal("1250.50"),
            ends_at=NOON,
            allow_all=False,
            eligibility_logic="any",
        ),
    )
    assert found == {
        "Title": Change("Title", [Line("Spring", True)], [Line("Spring!", True)]),
        "Discount value": Change("Discount value", [Line("10.00", True)], [Line("1,250.50", True)]),
        "Limit per user": Change("Limit per user", [Line("1 use", True)], [Line("no limit", True)]),
        "Open to": Change("Open to", [Line("everybody", True)], [Line("chosen users and roles", True)]),
        "Rules that must pass": Change(
            "Rules that must pass", [Line("all of them", True)], [Line("at least one", True)]
        ),
        "Ends": Change("Ends", [Line("never", True)], [Line("24 Nov 2026, 12:00 UTC", True)]),
    }


def test_what_was_not_limited_before_is_said_so() -> None:
    found = changed(offer(), offer(ends_at=NOON, allowed_users=[USER]))
    assert found["Ends"].before == [Line("never", True)]
    assert found["Allowed users"].before == [Line("0 users", False)]


def test_only_the_rules_that_differ_are_marked() -> None:
    found = changed(offer(rules=[TWO]), offer(rules=[TWO, MTN_RULE]))["Rules"]
    assert found.before == [Line("at least 2 topups", False)]
    assert found.after == [
        Line("at least 2 topups", False),
        Line("at least 50.00 spent on MTN – loyal ones", True),
    ]


def test_a_rule_switched_off_is_a_change() -> None:
    found = changed(offer(rules=[TWO]), offer(rules=[TWO | {"enabled": False}]))["Rules"]
    assert found.after == [Line("at least 2 topups (switched off)", True)]


def test_long_lists_are_told_by_number_and_what_was_added_and_removed() -> None:
    one, two, product = uuid4(), uuid4(), uuid4()
    found = changed(
        offer(allowed_users=[one]),
        offer(
            allowed_users=[two],
            products=[{"operator_product_id": product, "price_override": "5", "max_quantity_per_purchase": 2}],
        ),
    )
    assert found["Allowed users"] == Change(
        "Allowed users", [Line("1 user", False), Line(str(one), True)], [Line("1 user", False), Line(str(two), True)]
    )
    assert found["Products"].after == [
        Line("1 product", False),
        Line(f"operator product {product}, price override 5.00, max quantity per purchase 2", True),
    ]


def test_a_new_offer_has_nothing_before() -> None:
    found = changed(None, offer())
    assert found["Code"] == Change("Code", [], [Line("SPRING", True)])
    assert found["Status"] == Change("Status", [], [Line("draft", True)])
    assert {"Limit per user", "Description", "Rules", "Allowed users"} & set(found) == set()
    limited = changed(None, offer(per_user_limit=2, allowed_users=[USER]))
    assert limited["Limit per user"] == Change("Limit per user", [], [Line("2 uses", True)])
    assert limited["Allowed users"] == Change("Allowed users", [], [Line("1 user", False), Line(str(USER), True)])


def test_who_did_what_from_where() -> None:
    told = entry(
        "offer.updated",
        describe_change(offer(), offer(title="B", code="C"))
        | {"by": {"token": "ada", "role": "editor", "address": "10.0.0.5"}},
    )
    assert (told.title, told.who) == ("Offer changed", "ada (editor) from 10.0.0.5")
    assert told.summary == "Changed: code and title"
    assert entry("segment.rebuilt", {}, actor="segmenter").who == "segmenter"


REQUEST_DATA: Final = {
    "request_id": str(REQUEST),
    "offer_id": str(OFFER_ID),
    "user_id": str(USER),
    "quantity": 3,
    "unit_price": "1000.00",
    "deadline": "2026-11-24T12:00:30Z",
}


def test_a_rejection_says_what_was_asked_what_was_known_and_why() -> None:
    reply = {
        "request_id": str(REQUEST),
        "command": "redeem",
        "status": "rejected",
        "reason": "not_eligible",
        "price": "3000.00",
        "discount_amount": "0.00",
        "price_paid": "3000.00",
        "explanation": [
            {
                "rule_key": "two",
                "rule_type": "min_topups",
                "passed": False,
                "required": 2,
                "actual": 1,
                "missing": "1 more topup",
            },
            {"rule_key": "rich", "rule_type": "min_spent", "passed": True, "required": "50.00", "actual": "1250.5"},
        ],
    }
    known = {"definition_version": 3, "allowed": True, "eligible": False, "uses": 1, "usage_count": 1200}
    told = entry("redemption.rejected", {"request": REQUEST_DATA, "reply": reply, "inputs": {"offer": known}})
    assert (told.title, told.request_id) == ("Redemption rejected", REQUEST)
    assert told.summary == "The user does not meet the offer's rules"
    assert told.facts == [
        Fact("Asked for", "a redemption"),
        Fact("Purchase", "3 × 1,000.00 = 3,000.00"),
        Fact("Decision", "rejected"),
        Fact("Reason", "The user does not meet the offer's rules"),
        Fact("Deadline", "24 Nov 2026, 12:00:30 UTC"),
        Fact("Open to the user then", "yes"),
        Fact("Rules passed then", "no"),
        Fact("Used by the user before", "1 time"),
        Fact("Used in all before", "1,200 times"),
        Fact("Version of the offer", "3"),
    ]
    assert told.rules == [
        JudgedRule("two", False, "2", "1", "1 more topup"),
        JudgedRule("rich", True, "50.00", "1,250.50", ""),
    ]


def test_an_acceptance_says_what_was_saved_and_a_refused_revocation_is_called_so() -> None:
    reply = {"command": "redeem", "status": "accepted", "discount_amount": "10.00", "price_paid": "90.00"}
    accepted = entry("redemption.accepted", {"request": {}, "reply": reply})
    assert accepted.summary == "10.00 off, 90.00 paid"
    assert {Fact("Discount", "10.00"), Fact("Paid", "90.00")} <= set(accepted.facts)
    refused = {"command": "revoke", "status": "rejected", "reason": "already_revoked"}
    told = entry("redemption.rejected", {"request": {"reason": "wrong number"}, "reply": refused})
    assert (told.title, told.summary) == ("Revocation rejected", "The redemption was revoked before")
    assert Fact("Reason given", "wrong number") in told.facts


def test_what_happens_to_people_and_tokens_is_told_with_their_names() -> None:
    data = {"name": "reports", "changes": {"disabled": {"before": False, "after": True}}}
    told = entry("token.revoked", data)
    assert (told.title, told.summary) == ("API token revoked", "reports")
    assert told.changes == [Change("Disabled", [Line("no", True)], [Line("yes", True)])]


def test_recomputed_members_are_counted() -> None:
    told = entry("segment.rebuilt", {"users": 12000, "entered": 30, "left": 4}, actor="segmenter")
    assert told.title == "Members recomputed"
    assert told.facts == [Fact("Users looked at", "12,000"), Fact("Entered", "30"), Fact("Left", "4")]


def test_the_raw_event_is_whole() -> None:
    told = entry("offer.paused", {"note": "<b>é</b>", "big": 123456789012345678901234567890})
    raw = told.raw
    assert '"note": "<b>é</b>"' in raw
    assert "123456789012345678901234567890" in raw
    assert str(OFFER_ID) in raw


NAMES: Final = st.sampled_from(
    (
        *("changes", "before", "after", "added", "removed", "rules", "rule_type", "params", "starts_at", "by", "role"),
        *("request", "reply", "inputs", "offer", "explanation", "passed", "required", "reason", "status", "unit_price"),
        *("price", "quantity", "deadline", "discount_value", "per_user_limit", "allow_all", "command", "uses", "users"),
    )
)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.sampled_from(["offer.updated", "redemption.accepted", "redemption.rejected", "segment.rebuilt", "new.type"]),
    JSON | st.dictionaries(NAMES, JSON, max_size=5),
)
def test_whatever_an_event_holds_it_has_words(type: str, data: Any) -> None:
    told = entry(type, data)
    assert told.title
    assert told.raw
