"""Until when users satisfy eligibility rules, for a whole batch of users at once. Pure numpy.

Without a new event every rule can only lapse, so a rule's verdict on a user is one number: the instant
until which it holds. NEVER means it doesn't hold now or later, ALWAYS that it holds whatever time passes.
The SQL function explain_eligibility is the reference these functions must agree with.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, assert_never
from uuid import UUID

import numpy as np
import numpy.typing as npt

from shared.clock import DAY_US
from shared.looks import EVER, Look, terms_of
from shared.rules import Logic, Rule

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.bytes_]
"""UUIDs as 16 bytes each, dtype S16: equal and ordered as the UUIDs are."""

NEVER: Final = np.iinfo(np.int64).min
ALWAYS: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Histories:
    """The counted (succeeded) transactions of n users, m rows in all.

    Rows are ordered by user, each user's newest first. `user` (m,) indexes the users 0…n-1; times are
    microseconds since 1970; `registered_us` (n,) is NEVER where the registration is unknown.
    """

    registered_us: Int64s
    user: Int64s
    occurred_us: Int64s
    cents: Int64s
    operator: Ids
    is_topup: Flags

    @property
    def users(self) -> int:
        """n, the number of users."""
        return len(self.registered_us)


class RuleTable:
    """The rules of some offers, arranged so that all that look at the same rows are judged at once."""

    def __init__(self, offers: Sequence[tuple[Sequence[Rule], Logic]]) -> None:
        places: dict[tuple[str, object], int] = {}
        looks: defaultdict[Look, list[tuple[int, int, int]]] = defaultdict(list)
        shapes: defaultdict[tuple[Logic, int], list[tuple[int, list[int]]]] = defaultdict(list)
        for place, (rules, logic) in enumerate(offers):
            for rule in rules:
                key = (rule.rule_type, rule.params)
                if key not in places:
                    places[key] = len(places)
                    look, threshold, window_us = terms_of(rule)
                    looks[look].append((places[key], threshold, window_us))
            shapes[logic, len(rules)].append((place, [places[rule.rule_type, rule.params] for rule in rules]))
        self._rules = len(places)
        self._offers = len(offers)
        self._looks = {look: np.array(terms, dtype=np.int64) for look, terms in looks.items()}
        self._shapes = [
            (logic, np.array([place for place, _ in alike]), np.array([own for _, own in alike], dtype=np.int64).T)
            for (logic, _), alike in shapes.items()
        ]

    def valid_until(self, histories: Histories) -> Int64s:
        """Until when each user satisfies each offer's rules, (offers, n) microseconds since 1970, NEVER or
        ALWAYS: the least of the rules' times for `all`, the greatest for `any`, ALWAYS where there are none."""
        verdicts = np.empty((self._rules, histories.users), dtype=np.int64)
        rows = _Rows(histories)
        for look, terms in self._looks.items():
            place, threshold, window_us = terms[:, 0], terms[:, 1:2], terms[:, 2:3]
            verdicts[place] = rows.judge(look, threshold, window_us)
        found = np.empty((self._offers, histories.users), dtype=np.int64)
        for logic, offers, rules in self._shapes:
            combine = np.minimum if logic == "all" else np.maximum
            found[offers] = combine.reduce(verdicts[rules]) if len(rules) else ALWAYS
        return found


class _Rows:
    """The histories' rows as rules look at them; k rules that look at the same are judged together.

    `threshold` and `window_us` are (k, 1), verdicts (k, n).
    """

    def __init__(self, histories: Histories) -> None:
        self._histories = histories
        self._selections: dict[tuple[str, UUID | None], _Selection] = {}

    def judge(self, look: Look, threshold: Int64s, window_us: Int64s) -> Int64s:
        """Until when each user passes each of the rules."""
        match look.asks:
            case "registration":
                return self._registered_within(window_us)
            case "count":
                return self._select(look).nth_newest(threshold, window_us)
            case "sum":
                return self._select(look).spent(threshold, window_us)
            case _:
                assert_never(look.asks)

    def _registered_within(self, age_us: Int64s) -> Int64s:
        # Inclusive: the account is new up to and with the last instant, so it lapses one microsecond later.
        registered_us = self._histories.registered_us
        known = registered_us != NEVER
        return np.where(known, np.where(known, registered_us, 0) + (age_us + 1), NEVER)

    def _select(self, look: Look) -> "_Selection":
        key = look.rows, look.operator
        if key not in self._selections:
            self._selections[key] = _Selection(self._histories, self._chosen(look))
        return self._selections[key]

    def _chosen(self, look: Look) -> Flags | None:
        histories = self._histories
        if look.rows == "newest of days":
            return _newest_of_days(histories)
        topups = histories.is_topup if look.rows == "topups" else None
        if look.operator is None:
            return topups
        # As pairs of integers, which numpy compares many times faster than bytes.
        operators = np.ascontiguousarray(histories.operator).view(np.uint64).reshape(-1, 2)
        first, second = np.frombuffer(look.operator.bytes, dtype=np.uint64)
        on_operator: Flags = (operators[:, 0] == first) & (operators[:, 1] == second)
        return on_operator if topups is None else topups & on_operator


def _newest_of_days(histories: Histories) -> Flags:
    """Each user's newest row of each UTC date: a date counts while its newest row does."""
    user, day = histories.user, histories.occurred_us // DAY_US
    newest = np.ones(len(day), dtype=np.bool_)
    newest[1:] = (user[1:] != user[:-1]) | (day[1:] != day[:-1])
    return newest


class _Selection:
    """Some of the histories' rows, in the same order."""

    def __init__(self, histories: Histories, chosen: Flags | None) -> None:
        self._histories = histories
        self._chosen = None if chosen is None else np.flatnonzero(chosen)
        # One row more than there are, so that an index just past the last user's rows is no error.
        self._occurred_us = np.append(self._column(histories.occurred_us), 0)
        self._counts = np.bincount(self._column(histories.user), minlength=histories.users).astype(np.int64)
        self._starts = np.cumsum(self._counts) - self._counts

    @cached_property
    def _running_cents(self) -> Int64s:
        """The sum of the rows before each row, and after the last one the sum of all."""
        return np.concatenate(([0], np.cumsum(self._column(self._histories.cents))))

    def _column(self, values: Int64s) -> Int64s:
        return values if self._chosen is None else values.take(self._chosen)

    def nth_newest(self, count: Int64s, window_us: Int64s) -> Int64s:
        """Until when each user has at least `count` rows in the window: it rests on the count-th newest."""
        return self._lapse(self._starts + (count - 1), self._counts >= count, window_us)

    def spent(self, cents: Int64s, window_us: Int64s) -> Int64s:
        """Until when each user's rows in the window reach a sum: it rests on the row that reaches it."""
        running = self._running_cents
        reached = np.searchsorted(running, running[self._starts] + cents, side="left") - 1
        return self._lapse(reached, reached < self._starts + self._counts, window_us)

    def _lapse(self, deciding: Int64s, found: Flags, window_us: Int64s) -> Int64s:
        # What rests on a transaction lapses when that transaction leaves the window.
        lapse_us = self._occurred_us.take(deciding, mode="clip") + window_us
        return np.where(found, np.where(window_us == EVER, ALWAYS, lapse_us), NEVER)
