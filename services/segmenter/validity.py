"""Until when users satisfy eligibility rules, for a whole batch of users at once. Pure numpy.

Without a new event every rule can only lapse, so a rule's verdict on a user is one number: the instant
until which it holds. NEVER means it doesn't hold now or later, ALWAYS that it holds whatever time passes.
The SQL function explain_eligibility is the reference these functions must agree with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never
from uuid import UUID

import numpy as np
import numpy.typing as npt

from shared.clock import DAY_US
from shared.rules import (
    ActiveDaysRule,
    LastActiveWithinRule,
    Logic,
    MinSpentRule,
    MinTopupsRule,
    MinTransactionsRule,
    NewUserRule,
    OperatorSpentRule,
    OperatorTopupCountRule,
    Rule,
)

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NEVER: Final = np.iinfo(np.int64).min
ALWAYS: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Histories:
    """The counted (succeeded) transactions of n users, m rows in all.

    Rows are ordered by user, each user's newest first. `user` (m,) indexes the users 0…n-1; times are
    microseconds since 1970, `amount` is in cents; `operator` (m,) indexes `operators`. `registered_us`
    (n,) is NEVER where the registration is unknown.
    """

    registered_us: Int64s
    user: Int64s
    occurred_us: Int64s
    amount: Int64s
    operator: Int64s
    is_topup: Flags
    operators: dict[UUID, int]

    @property
    def users(self) -> int:
        """n, the number of users."""
        return len(self.registered_us)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Some of the histories' rows, in the same order, and where each user's rows begin."""

    histories: Histories
    chosen: Flags | None

    def column(self, values: Int64s) -> Int64s:
        return values if self.chosen is None else values[self.chosen]

    def counts_and_starts(self) -> tuple[Int64s, Int64s]:
        counts = np.bincount(self.column(self.histories.user), minlength=self.histories.users)
        counts = counts.astype(np.int64)
        return counts, np.cumsum(counts) - counts


def rule_valid_until(rule: Rule, histories: Histories) -> Int64s:
    """Until when each user passes one rule, (n,) microseconds since 1970, NEVER or ALWAYS."""
    match rule:
        case NewUserRule(params=params):
            return _registered_within(histories, params.account_age_days)
        case MinTopupsRule(params=params):
            return _nth_newest(histories, histories.is_topup, params.count, params.window_days)
        case MinTransactionsRule(params=params):
            return _nth_newest(histories, None, params.count, params.window_days)
        case OperatorTopupCountRule(params=params):
            chosen = histories.is_topup & _on_operator(histories, params.operator_id)
            return _nth_newest(histories, chosen, params.count, params.window_days)
        case MinSpentRule(params=params):
            return _spent(histories, None, _cents(params.amount), params.window_days)
        case OperatorSpentRule(params=params):
            chosen = _on_operator(histories, params.operator_id)
            return _spent(histories, chosen, _cents(params.amount), params.window_days)
        case ActiveDaysRule(params=params):
            return _nth_newest(histories, _newest_of_each_day(histories), params.count, params.window_days)
        case LastActiveWithinRule(params=params):
            return _nth_newest(histories, None, 1, params.window_days)
        case _:
            assert_never(rule)


def offer_valid_until(rules: Sequence[Rule], logic: Logic, allowed: Flags, histories: Histories) -> Int64s:
    """Until when each user is eligible for an offer with rules, (n,): the least of its rules' times for
    `all`, the greatest for `any`, and NEVER where the user is not `allowed` (n,)."""
    times = np.stack([rule_valid_until(rule, histories) for rule in rules])
    combined = times.min(axis=0) if logic == "all" else times.max(axis=0)
    return np.where(allowed, combined, NEVER)


def _cents(amount: object) -> int:
    return int(amount * 100)  # type: ignore[operator]


def _on_operator(histories: Histories, operator_id: UUID) -> Flags:
    index = histories.operators.get(operator_id, -1)
    flags: Flags = histories.operator == index
    return flags


def _registered_within(histories: Histories, account_age_days: int) -> Int64s:
    # Inclusive: the account is new up to and with the last instant, so it lapses one microsecond later.
    known = histories.registered_us != NEVER
    last = np.where(known, histories.registered_us, 0) + (account_age_days * DAY_US + 1)
    return np.where(known, last, NEVER)


def _lapse(deciding_us: Int64s, found: Flags, window_days: int | None) -> Int64s:
    """A condition resting on a transaction lapses when that transaction leaves the window."""
    if window_days is None:
        return np.where(found, ALWAYS, NEVER)
    return np.where(found, deciding_us + window_days * DAY_US, NEVER)


def _nth_newest(histories: Histories, chosen: Flags | None, count: int, window_days: int | None) -> Int64s:
    """At least `count` of the chosen rows: it rests on the count-th newest."""
    rows = _Rows(histories, chosen)
    occurred_us = rows.column(histories.occurred_us)
    counts, starts = rows.counts_and_starts()
    found: Flags = counts >= count
    deciding = np.zeros(histories.users, dtype=np.int64)
    deciding[found] = occurred_us[starts[found] + (count - 1)]
    return _lapse(deciding, found, window_days)


def _spent(histories: Histories, chosen: Flags | None, cents: int, window_days: int | None) -> Int64s:
    """At least so many cents: it rests on the newest row with which the sum from the newest on is reached."""
    rows = _Rows(histories, chosen)
    occurred_us = rows.column(histories.occurred_us)
    counts, starts = rows.counts_and_starts()
    running = np.concatenate(([0], np.cumsum(rows.column(histories.amount))))
    # running[i] is the sum of the rows before i; the sum only grows, so the row is found by bisection.
    reached = np.searchsorted(running, running[starts] + cents, side="left") - 1
    found: Flags = reached < starts + counts
    deciding = np.zeros(histories.users, dtype=np.int64)
    deciding[found] = occurred_us[reached[found]]
    return _lapse(deciding, found, window_days)


def _newest_of_each_day(histories: Histories) -> Flags:
    """Whether a row is its user's newest of its UTC date: a date counts while its newest row does."""
    day = histories.occurred_us // DAY_US
    newest = np.ones(len(day), dtype=np.bool_)
    newest[1:] = (histories.user[1:] != histories.user[:-1]) | (day[1:] != day[:-1])
    return newest
