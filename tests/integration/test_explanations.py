"""What explain_eligibility says is missing: for every rule type, window, number and operator, in hand-written words."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.database import Pool
from tests.support.campaign import add_offer

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
USER, STRANGER = UUID(int=1), UUID(int=2)
MTN, UNNAMED = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
HISTORY = [
    (MTN, "topup", "10.00", 1),
    (MTN, "topup", "10.00", 2),
    (MTN, "topup", "10.00", 40),
    (MTN, "purchase", "7.50", 2),
    (UNNAMED, "topup", "5.00", 1),
]
"""(operator, kind, amount, days ago)."""


@pytest.fixture(scope="module")
def pool(unchanged: Pool) -> Pool:
    """One database for all: each test adds an offer of its own and looks at that."""
    return unchanged


@pytest.fixture(scope="module")
async def history(pool: Pool) -> None:
    """A user of forty days with five transactions, and one operator of the two with a name."""
    await pool.execute("INSERT INTO users (id, created_at) VALUES ($1, $2)", USER, AT - timedelta(days=40))
    await pool.execute("INSERT INTO operators (id, name) VALUES ($1, 'MTN')", MTN)
    for operator, kind, amount, days_ago in HISTORY:
        await pool.execute(
            "INSERT INTO topup_requests (id, user_id, operator_id, kind, amount, status, occurred_at)"
            " VALUES (gen_random_uuid(), $1, $2, $3, $4::text::numeric, 'succeeded', $5)",
            USER,
            operator,
            kind,
            amount,
            AT - timedelta(days=days_ago),
        )


async def explained(pool: Pool, user_id: UUID, rule_type: str, params: dict[str, Any]) -> tuple[bool, str | None]:
    """Whether the rule passes, and what is missing."""
    offer_id = await add_offer(pool, [{"rule_type": rule_type, "params": params}])
    row = await pool.fetchrow("SELECT passed, missing FROM explain_eligibility($1, $2, $3)", offer_id, user_id, AT)
    assert row is not None
    return row["passed"], row["missing"]


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("rule_type", "params", "missing"),
    [
        ("new_user", {"account_age_days": 30}, "an account at most 30 days old"),
        ("new_user", {"account_age_days": 1}, "an account at most 1 day old"),
        ("min_topups", {"count": 5}, "1 more topup"),
        ("min_topups", {"count": 6}, "2 more topups"),
        ("min_topups", {"count": 4, "window_days": 30}, "1 more topup within 30 days"),
        ("min_topups", {"count": 5, "window_days": 1}, "5 more topups within 1 day"),
        ("min_transactions", {"count": 6}, "1 more transaction"),
        ("min_transactions", {"count": 8}, "3 more transactions"),
        ("min_transactions", {"count": 6, "window_days": 30}, "2 more transactions within 30 days"),
        ("min_spent", {"amount": "55.00"}, "12.50 more spent"),
        ("min_spent", {"amount": "32.51", "window_days": 30}, "0.01 more spent within 30 days"),
        ("min_spent", {"amount": "1000000.00"}, "999957.50 more spent"),
        ("operator_topup_count", {"operator_id": MTN, "count": 4}, "1 more topup on MTN"),
        ("operator_topup_count", {"operator_id": MTN, "count": 5}, "2 more topups on MTN"),
        (
            "operator_topup_count",
            {"operator_id": MTN, "count": 4, "window_days": 30},
            "2 more topups on MTN within 30 days",
        ),
        ("operator_topup_count", {"operator_id": UNNAMED, "count": 2}, f"1 more topup on operator {UNNAMED}"),
        ("operator_spent", {"operator_id": MTN, "amount": "50.00"}, "12.50 more spent on MTN"),
        (
            "operator_spent",
            {"operator_id": MTN, "amount": "40.00", "window_days": 30},
            "12.50 more spent on MTN within 30 days",
        ),
        (
            "operator_spent",
            {"operator_id": UNNAMED, "amount": "6.00", "window_days": 7},
            f"1.00 more spent on operator {UNNAMED} within 7 days",
        ),
        ("active_days", {"count": 4}, "1 more active day"),
        ("active_days", {"count": 5}, "2 more active days"),
        ("active_days", {"count": 4, "window_days": 30}, "2 more active days within 30 days"),
        ("last_active_within", {"window_days": 1}, "a transaction within 1 day"),
    ],
)
async def test_a_failing_rule_says_what_is_missing(
    pool: Pool, rule_type: str, params: dict[str, Any], missing: str
) -> None:
    assert await explained(pool, USER, rule_type, params) == (False, missing)


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("rule_type", "params"),
    [
        ("new_user", {"account_age_days": 40}),
        ("min_topups", {"count": 4}),
        ("min_transactions", {"count": 5}),
        ("min_spent", {"amount": "42.50"}),
        ("operator_topup_count", {"operator_id": MTN, "count": 2, "window_days": 30}),
        ("operator_spent", {"operator_id": MTN, "amount": "37.50"}),
        ("active_days", {"count": 2, "window_days": 30}),
        ("last_active_within", {"window_days": 2}),
    ],
)
async def test_a_passing_rule_misses_nothing(pool: Pool, rule_type: str, params: dict[str, Any]) -> None:
    assert await explained(pool, USER, rule_type, params) == (True, None)


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("rule_type", "params", "missing"),
    [
        ("new_user", {"account_age_days": 30}, "a known registration date"),
        ("min_topups", {"count": 1}, "1 more topup"),
        ("min_transactions", {"count": 2, "window_days": 7}, "2 more transactions within 7 days"),
        ("min_spent", {"amount": "0.50"}, "0.50 more spent"),
        ("operator_topup_count", {"operator_id": MTN, "count": 2}, "2 more topups on MTN"),
        ("operator_spent", {"operator_id": MTN, "amount": "100.00"}, "100.00 more spent on MTN"),
        ("active_days", {"count": 1}, "1 more active day"),
        ("last_active_within", {"window_days": 7}, "a transaction within 7 days"),
    ],
)
async def test_a_user_nobody_knows_misses_everything(
    pool: Pool, rule_type: str, params: dict[str, Any], missing: str
) -> None:
    assert await explained(pool, STRANGER, rule_type, params) == (False, missing)


@pytest.mark.usefixtures("history")
async def test_each_rule_speaks_for_itself_in_the_order_people_see(pool: Pool) -> None:
    rules = [
        {"rule_type": "min_topups", "params": {"count": 6}},
        {"rule_type": "last_active_within", "params": {"window_days": 7}},
        {"rule_type": "operator_topup_count", "params": {"operator_id": MTN, "count": 4}},
    ]
    offer_id = await add_offer(pool, rules, eligibility_logic="any")
    rows = await pool.fetch(
        "SELECT rule_key, passed, valid_until, missing FROM explain_eligibility($1, $2, $3)", offer_id, USER, AT
    )
    assert [tuple(row) for row in rows] == [
        ("rule-0", False, None, "2 more topups"),
        ("rule-1", True, AT + timedelta(days=6), None),
        ("rule-2", False, None, "1 more topup on MTN"),
    ]
