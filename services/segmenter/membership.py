"""What changes in the stored memberships when users are evaluated again. Pure.

A membership is a row with the instant until which it holds; a change of membership is an entry, a
departure, or, where a row had lapsed unnoticed and holds again, both.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from services.segmenter.validity import Histories, Int64s, offer_valid_until
from shared.rules import Logic, Rule

Pair = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class SegmentOffer:
    """An offer with rules, as far as its members depend on it."""

    id: UUID
    rules_version: int
    logic: Logic
    rules: tuple[Rule, ...]
    allow_all: bool = True
    allowed_users: frozenset[UUID] = frozenset()
    allowed_roles: frozenset[str] = frozenset()

    def allows(self, user_id: UUID, roles: Sequence[str]) -> bool:
        """Whether the offer is open to the user, its rules aside."""
        return self.allow_all or user_id in self.allowed_users or not self.allowed_roles.isdisjoint(roles)


@dataclass(frozen=True, slots=True)
class Member:
    """One stored row: until when it holds (microseconds since 1970) and by which version of the rules."""

    valid_until_us: int
    rules_version: int


@dataclass(slots=True)
class Changes:
    """What to write, and what to tell others. Pairs are (offer id, user id)."""

    upserts: dict[Pair, Member] = field(default_factory=dict)
    deletes: list[Pair] = field(default_factory=list)
    entered: list[tuple[Pair, int]] = field(default_factory=list)
    departed: list[tuple[Pair, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The users under evaluation: ids and roles in the order of `histories`."""

    ids: Sequence[UUID]
    roles: Sequence[Sequence[str]]
    histories: Histories


def evaluate(offer: SegmentOffer, users: Evaluated) -> Int64s:
    """Until when each user is eligible for the offer, (n,)."""
    allowed = np.fromiter(
        (offer.allows(user_id, roles) for user_id, roles in zip(users.ids, users.roles, strict=True)),
        dtype=np.bool_,
        count=len(users.ids),
    )
    return offer_valid_until(offer.rules, offer.logic, allowed, users.histories)


def changes_between(
    stored: Mapping[Pair, Member], offers: Iterable[SegmentOffer], users: Evaluated, now_us: int
) -> Changes:
    """What must change for the stored rows of these users to be right at `now_us`.

    `stored` holds every row of the users, of the offers in question; rows of other offers are deleted.
    """
    changes = Changes()
    standing: set[Pair] = set()
    for offer in offers:
        valid_until_us = evaluate(offer, users)
        for index in np.flatnonzero(valid_until_us > now_us).tolist():
            pair = (offer.id, users.ids[index])
            standing.add(pair)
            _keep(
                changes,
                pair,
                stored.get(pair),
                Member(int(valid_until_us[index]), offer.rules_version),
                now_us,
            )
    for pair, member in stored.items():
        if pair not in standing:
            changes.deletes.append(pair)
            changes.departed.append((pair, min(member.valid_until_us, now_us)))
    return changes


def _keep(changes: Changes, pair: Pair, old: Member | None, new: Member, now_us: int) -> None:
    if old == new:
        return
    changes.upserts[pair] = new
    lapsed = old is not None and old.valid_until_us <= now_us
    if old is not None and lapsed:
        changes.departed.append((pair, old.valid_until_us))
    if old is None or lapsed:
        changes.entered.append((pair, new.valid_until_us))
