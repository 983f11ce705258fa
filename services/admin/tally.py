"""Counts whom a rule set matches, some users at a time. Pure."""

from dataclasses import dataclass
from uuid import UUID

import numpy as np

from services.admin.models import Preview
from shared.ids import places_in, to_ids, to_uuids
from shared.transactions import Transactions
from shared.validity import Flags, Ids, Int64s, RuleTable


@dataclass(frozen=True, slots=True)
class People:
    """n users by id: when they registered (microseconds since 1970, NEVER if unknown), and whether they hold
    one of the roles an audience is open to, (n,) each."""

    ids: Ids
    registered_us: Int64s
    role_holders: Flags


@dataclass(frozen=True, slots=True)
class Tally:
    """How many users were judged, are allowed, match, and pass each rule; and the first `sample_size` at most
    of those who match, by id."""

    users: int
    allowed: int
    matching: int
    passing: tuple[int, ...]
    sample: tuple[UUID, ...]
    sample_size: int

    def __add__(self, following: "Tally") -> "Tally":
        """This tally and that of users with greater ids, by the same rules."""
        return Tally(
            users=self.users + following.users,
            allowed=self.allowed + following.allowed,
            matching=self.matching + following.matching,
            passing=tuple(one + other for one, other in zip(self.passing, following.passing, strict=True)),
            sample=(self.sample + following.sample)[: self.sample_size],
            sample_size=self.sample_size,
        )


class Jury:
    """Judges users by the rules of a preview at one instant (microseconds since 1970)."""

    def __init__(self, wanted: Preview, now_us: int) -> None:
        rules = wanted.rules
        self._table = RuleTable([(rules, wanted.eligibility_logic), *(([rule], "all") for rule in rules)])
        self._allow_all = wanted.allow_all
        self._named = to_ids(wanted.allowed_users)
        self._now_us = now_us
        self._sample_size = wanted.sample_size
        self.nobody = Tally(0, 0, 0, (0,) * len(rules), (), self._sample_size)

    def count(self, people: People, transactions: Transactions) -> Tally:
        """Judge users, whose transactions these are."""
        stands = self._table.valid_until(transactions.of(people.ids, people.registered_us)) > self._now_us
        allowed = self._allowed(people)
        matching = people.ids[stands[0] & allowed]
        return Tally(
            users=len(people.ids),
            allowed=int(allowed.sum()),
            matching=len(matching),
            passing=tuple(stands[1:].sum(axis=1).tolist()),
            sample=tuple(to_uuids(matching[: self._sample_size])),
            sample_size=self._sample_size,
        )

    def _allowed(self, people: People) -> Flags:
        if self._allow_all:
            return np.ones(len(people.ids), dtype=np.bool_)
        _, named = places_in(self._named, people.ids)
        return named | people.role_holders
