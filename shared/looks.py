"""What a rule looks at of a user's history, and so what of it has to be read. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, assert_never
from uuid import UUID

from shared.clock import DAY_US
from shared.rules import (
    ActiveDaysRule,
    LastActiveWithinRule,
    MinSpentRule,
    MinTopupsRule,
    MinTransactionsRule,
    NewUserRule,
    OperatorSpentRule,
    OperatorTopupCountRule,
    Rule,
)

EVER: Final = -1
"""No window, as microseconds."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a rule looks at: which rows, and whether it asks for their number, their sum, or (no rows) for the
    registration."""

    asks: Literal["count", "sum", "registration"]
    rows: Literal["all", "topups", "newest of days", "none"] = "all"
    operator: UUID | None = None


def terms_of(rule: Rule) -> tuple[Look, int, int]:
    """What a rule looks at, how much it asks for (a count, or cents), and its window in microseconds or EVER."""
    match rule:
        case NewUserRule(params=params):
            return Look("registration", "none"), 0, params.account_age_days * DAY_US
        case MinTopupsRule(params=params):
            return Look("count", "topups"), params.count, _window_us(params.window_days)
        case MinTransactionsRule(params=params):
            return Look("count"), params.count, _window_us(params.window_days)
        case OperatorTopupCountRule(params=params):
            return Look("count", "topups", params.operator_id), params.count, _window_us(params.window_days)
        case MinSpentRule(params=params):
            return Look("sum"), _cents(params.amount), _window_us(params.window_days)
        case OperatorSpentRule(params=params):
            return Look("sum", operator=params.operator_id), _cents(params.amount), _window_us(params.window_days)
        case ActiveDaysRule(params=params):
            return Look("count", "newest of days"), params.count, _window_us(params.window_days)
        case LastActiveWithinRule(params=params):
            return Look("count"), 1, _window_us(params.window_days)
        case _:
            assert_never(rule)


def _window_us(window_days: int | None) -> int:
    return EVER if window_days is None else window_days * DAY_US


def _cents(amount: Decimal) -> int:
    return int(amount * 100)


@dataclass(frozen=True, slots=True)
class Needs:
    """Which of the counted transactions some rules need to judge a user at an instant, and which of their
    columns. What else there is can't change whether any of these rules passes at that instant."""

    transactions: bool
    """Whether any at all."""
    window_us: int
    """Only those younger than this, in microseconds; EVER: however old."""
    topups_only: bool
    operators: frozenset[UUID] | None
    """Only those on these operators; None: on any."""
    time: bool
    cents: bool
    operator: bool
    kind: bool


def needs_of(rules: Collection[Rule]) -> Needs:
    """What all of these rules together need."""
    terms = [(look, window_us) for look, _, window_us in map(terms_of, rules) if look.asks != "registration"]
    looks, windows = {look for look, _ in terms}, {window_us for _, window_us in terms}
    topups = {look.rows == "topups" for look in looks}
    operators = {look.operator for look in looks}
    return Needs(
        transactions=bool(looks),
        window_us=EVER if EVER in windows else max(windows, default=EVER),
        topups_only=topups == {True},
        operators=None if None in operators else frozenset(operator for operator in operators if operator),
        time=windows != {EVER} or any(look.rows == "newest of days" for look in looks),
        cents=any(look.asks == "sum" for look in looks),
        operator=operators != {None},
        kind=topups == {True, False},
    )
