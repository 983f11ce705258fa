"""What changes in the stored memberships when users are evaluated again. Pure.

A membership is a row with the instant until which it holds. Rows and verdicts are compared as matrices,
one row an offer and one column a user; only what differs becomes Python objects.

A row may promise less than the truth, never more: a membership that holds for long and now holds for
longer needs no write. When the time of such a row comes, its user is evaluated again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import numpy as np

from services.segmenter.catalogue import Catalogue, SegmentOffer
from shared.ids import places_in, to_uuids
from shared.validity import ALWAYS, NEVER, Flags, Histories, Ids, Int64s

Pair = tuple[UUID, UUID]
"""An offer's id and a user's."""

EXTEND_WITHIN_US: Final = 120 * 1_000_000
"""A membership that holds for longer than this may be extended later."""

EXTEND_ALL_US: Final = 2**61
"""Longer than any membership that ends: every one is extended at once."""


@dataclass(frozen=True, slots=True)
class Users:
    """The n users under evaluation. `role_holders` and `named` tell, as flags (n,), who is allowed where not
    everybody is: by role, and by offer."""

    ids: Sequence[UUID]
    role_holders: Mapping[str, Flags] = field(default_factory=dict)
    named: Mapping[UUID, Flags] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredMembers:
    """k stored rows: offers' ids, users by their place among those under evaluation, until when each
    holds (microseconds since 1970) and by which version of the rules, (k,) each."""

    offer: Ids
    user: Int64s
    valid_until_us: Int64s
    rules_version: Int64s

    def lapsed_users(self, now_us: int) -> list[int]:
        """The places of users with a row whose time has come."""
        return sorted(set(self.user[self.valid_until_us <= now_us].tolist()))


@dataclass(slots=True)
class Changes:
    """What to write, and what to tell others. Times are microseconds since 1970."""

    upserts: list[tuple[Pair, int, int]] = field(default_factory=list)
    """Rows to write, with until when they hold and the version of the rules."""
    entered: list[tuple[Pair, int]] = field(default_factory=list)
    """Memberships that began, with until when they hold; each is among the upserts."""
    departed: list[tuple[Pair, int]] = field(default_factory=list)
    """Memberships that ended, with when; their rows go before any is written."""
    postponed: list[UUID] = field(default_factory=list)
    """Users with a row that promises less than the truth."""


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows as matrices (offers, users): until when they hold, NEVER where there is none, and whether they
    are of the offer's present rules. `strays` are rows of offers that keep no members, with their times."""

    valid_until_us: Int64s
    current: Flags
    strays: Sequence[tuple[Pair, int]]

    def all_for_ever(self) -> bool:
        """Whether every user is a member of every offer for ever."""
        return bool(((self.valid_until_us == ALWAYS) & self.current).all())

    def of(self, places: Sequence[int]) -> "Stored":
        """The rows of some of the offers."""
        if len(places) == len(self.valid_until_us):
            return self
        return Stored(self.valid_until_us[list(places)], self.current[list(places)], self.strays)


def arrange(rows: StoredMembers, catalogue: Catalogue, users: Users) -> Stored:
    """Lays stored rows out by the catalogue's offers and the users."""
    shape = len(catalogue.offers), len(users.ids)
    valid_until_us = np.full(shape, NEVER, dtype=np.int64)
    version = np.zeros(shape, dtype=np.int64)
    place, known = places_in(catalogue.ids, rows.offer)
    valid_until_us[place[known], rows.user[known]] = rows.valid_until_us[known]
    version[place[known], rows.user[known]] = rows.rules_version[known]
    strays = [
        ((offer_id, users.ids[user]), until_us)
        for offer_id, user, until_us in zip(
            to_uuids(rows.offer[~known]), rows.user[~known].tolist(), rows.valid_until_us[~known].tolist(), strict=True
        )
    ]
    versions = np.array([offer.rules_version for offer in catalogue.offers], dtype=np.int64)
    return Stored(valid_until_us, version == versions[:, np.newaxis], strays)


def evaluate(catalogue: Catalogue, users: Users, histories: Histories) -> Int64s:
    """Until when each user is eligible for each offer, (offers, users)."""
    verdicts = catalogue.rules.valid_until(histories)
    for row, offer in enumerate(catalogue.offers):
        if not offer.allow_all:
            verdicts[row, ~_allowed(offer, users)] = NEVER
    return verdicts


def _allowed(offer: SegmentOffer, users: Users) -> Flags:
    nobody = np.zeros(len(users.ids), dtype=np.bool_)
    allowed: Flags = nobody | users.named.get(offer.id, nobody)
    for role in offer.allowed_roles:
        allowed |= users.role_holders.get(role, nobody)
    return allowed


def changes_between(
    stored: Stored,
    verdicts: Int64s,
    offers: Sequence[SegmentOffer],
    users: Users,
    now_us: int,
    extend_within_us: int = EXTEND_WITHIN_US,
) -> Changes:
    """What must change for the rows to be right at `now_us`.

    A row whose time has come but whose user is still a member by the same rules was an extension put off:
    the membership never ended. Where the rules are others, nothing says so: it ended, and begins anew.
    """
    held_until_us, current = stored.valid_until_us, stored.current
    held, stands = held_until_us != NEVER, verdicts > now_us
    lapsed = held & (held_until_us <= now_us)
    anew = stands & lapsed & ~current
    longer = stands & current & (verdicts > held_until_us)
    postponed = longer & (held_until_us > now_us + extend_within_us)
    written = stands & (~current | (verdicts != held_until_us)) & ~postponed
    known_end_us = np.clip(np.where(current, verdicts, NEVER), held_until_us, now_us)
    ended_us = np.where(lapsed, known_end_us, now_us)

    def pairs(flags: Flags, times_us: Int64s) -> Iterator[tuple[Pair, int, int]]:
        # User by user, so that what concerns one user stands together on disk.
        columns, rows = np.nonzero(flags.T)
        for row, column, time_us in zip(rows.tolist(), columns.tolist(), times_us.T[flags.T].tolist(), strict=True):
            offer = offers[row]
            yield (offer.id, users.ids[column]), time_us, offer.rules_version

    return Changes(
        upserts=list(pairs(written, verdicts)),
        entered=[(pair, until_us) for pair, until_us, _ in pairs(stands & (~held | anew), verdicts)],
        departed=[(pair, end_us) for pair, end_us, _ in pairs((held & ~stands) | anew, ended_us)]
        + [(pair, min(until_us, now_us)) for pair, until_us in stored.strays],
        postponed=[users.ids[column] for column in np.flatnonzero(postponed.any(axis=0)).tolist()],
    )
