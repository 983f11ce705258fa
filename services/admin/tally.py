"""Counts whom a rule set matches, some users at a time. Pure."""

from dataclasses import dataclass
from uuid import UUID

import numpy as np

from services.admin.models import Audience, Preview
from shared.ids import places_in, to_ids, to_uuids
from shared.transactions import Transactions
from shared.validity import Flags, Ids, Int64s, RuleTable


@dataclass(frozen=True, slots=True)
class People:
    """n users by id: when they registered (microseconds since 1970, NEVER if unknown), and whether they hold
    one of the roles an audience, and the one it is compared to, is open to, (n,) each."""

    ids: Ids
    registered_us: Int64s
    role_holders: Flags
    other_role_holders: Flags


@dataclass(frozen=True, slots=True)
class Group:
    """How many users share something, and the first `sample_size` of them at most, by id."""

    count: int
    sample: tuple[UUID, ...]
    sample_size: int

    def __add__(self, following: "Group") -> "Group":
        """This group and those of the same kind with greater ids."""
        sample = (self.sample + following.sample)[: self.sample_size]
        return Group(self.count + following.count, sample, self.sample_size)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many users were judged, are allowed, match, and pass each rule; how many another rule set matches, and who
    enters and leaves where this one replaces it."""

    users: int
    allowed: int
    passing: tuple[int, ...]
    matching: Group
    matched_before: int
    entering: Group
    leaving: Group

    def __add__(self, following: "Tally") -> "Tally":
        """This tally and that of users with greater ids, by the same rules."""
        return Tally(
            users=self.users + following.users,
            allowed=self.allowed + following.allowed,
            passing=tuple(one + other for one, other in zip(self.passing, following.passing, strict=True)),
            matching=self.matching + following.matching,
            matched_before=self.matched_before + following.matched_before,
            entering=self.entering + following.entering,
            leaving=self.leaving + following.leaving,
        )


class _Door:
    """Whom an audience is open to, its rules aside."""

    def __init__(self, audience: Audience) -> None:
        self._allow_all = audience.allow_all
        self._named = to_ids(audience.allowed_users)

    def open_to(self, ids: Ids, role_holders: Flags) -> Flags:
        if self._allow_all:
            return np.ones(len(ids), dtype=np.bool_)
        _, named = places_in(self._named, ids)
        return named | role_holders


class Jury:
    """Judges users by the rules of a preview at one instant (microseconds since 1970)."""

    def __init__(self, wanted: Preview, now_us: int) -> None:
        other = wanted.compared_to or Audience()
        self._table = RuleTable(
            [
                (wanted.enabled_rules, wanted.eligibility_logic),
                (other.enabled_rules, other.eligibility_logic),
                *(([rule], "all") for rule in wanted.rules),
            ]
        )
        self._door, self._other_door = _Door(wanted), _Door(other)
        self._now_us = now_us
        self._sample_size = wanted.sample_size
        nobody = Group(0, (), self._sample_size)
        self.nobody = Tally(0, 0, (0,) * len(wanted.rules), nobody, 0, nobody, nobody)

    def count(self, people: People, transactions: Transactions) -> Tally:
        """Judge users, whose transactions these are."""
        stands = self._table.valid_until(transactions.of(people.ids, people.registered_us)) > self._now_us
        allowed = self._door.open_to(people.ids, people.role_holders)
        matching = stands[0] & allowed
        before = stands[1] & self._other_door.open_to(people.ids, people.other_role_holders)
        return Tally(
            users=len(people.ids),
            allowed=int(allowed.sum()),
            passing=tuple(stands[2:].sum(axis=1).tolist()),
            matching=self._group(people.ids[matching]),
            matched_before=int(before.sum()),
            entering=self._group(people.ids[matching & ~before]),
            leaving=self._group(people.ids[before & ~matching]),
        )

    def _group(self, ids: Ids) -> Group:
        return Group(len(ids), tuple(to_uuids(ids[: self._sample_size])), self._sample_size)
