"""Hypothesis strategies for rules, histories and clocks, with boundaries hit on purpose."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

OPERATORS = [UUID(int=operator) for operator in (1, 2, 3)]
NOW = datetime(2026, 11, 24, 12, 30, 15, 123456, tzinfo=UTC)
TICK = timedelta(microseconds=1)
WINDOWS = [1, 2, 7, 30]

windows = st.one_of(st.none(), st.sampled_from(WINDOWS))
counts = st.integers(1, 4)
amounts = st.sampled_from(["0.01", "10.00", "25.50", "50.00", "100.00"])


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """One rule of any of the eight types, as JSON values."""
    kind = draw(
        st.sampled_from(
            (
                "new_user",
                "min_topups",
                "min_transactions",
                "min_spent",
                "operator_topup_count",
                "operator_spent",
                "active_days",
                "last_active_within",
            )
        )
    )
    params: dict[str, Any] = {}
    if kind == "new_user":
        params["account_age_days"] = draw(st.sampled_from(WINDOWS))
    elif kind == "last_active_within":
        params["window_days"] = draw(st.sampled_from(WINDOWS))
    else:
        params["window_days"] = draw(windows)
        params |= {"amount": draw(amounts)} if kind.endswith("spent") else {"count": draw(counts)}
    if kind.startswith("operator"):
        params["operator_id"] = str(draw(st.sampled_from(OPERATORS)))
    return {"rule_type": kind, "params": params}


def moments() -> st.SearchStrategy[datetime]:
    """Times around NOW: exactly a window ago, just inside or outside it, at date changes, far back, ahead."""
    edges = st.builds(
        lambda days, ticks: NOW - timedelta(days=days) + ticks * TICK,
        st.sampled_from([0, *WINDOWS]),
        st.integers(-2, 2),
    )
    midnights = st.builds(
        lambda days, ticks: (
            NOW.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days) + ticks * TICK
        ),
        st.integers(0, 31),
        st.integers(-1, 1),
    )
    anywhere = st.datetimes(datetime(2015, 1, 1), datetime(2026, 12, 24), timezones=st.just(UTC))
    return st.one_of(edges, midnights, anywhere)


@st.composite
def topups(draw: st.DrawFn) -> dict[str, Any]:
    """One row of topup_requests without its ids."""
    return {
        "operator_id": draw(st.sampled_from(OPERATORS)),
        "kind": draw(st.sampled_from(["topup", "purchase"])),
        "amount": draw(st.sampled_from(["0.00", "0.01", "9.99", "10.00", "25.50", "50.00", "99.99"])),
        "status": draw(st.sampled_from(["succeeded", "succeeded", "succeeded", "failed", "reversed"])),
        "occurred_at": draw(moments()),
    }
