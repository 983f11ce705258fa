"""The offers that keep members, and what of a user each depends on. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal
from uuid import UUID

from shared.ids import to_ids
from shared.rules import (
    Logic,
    MinTopupsRule,
    NewUserRule,
    OperatorSpentRule,
    OperatorTopupCountRule,
    Rule,
)
from shared.validity import Ids, RuleTable

Aspect = Literal["profile", "topup", "transaction"] | tuple[Literal["topup", "transaction"], UUID]
"""Something of a user that rules rest on: the registration and roles; topups or transactions, on any
operator or on one."""

PROFILE: Final[Aspect] = "profile"
PARTS_MAX: Final = 100


@dataclass(frozen=True)
class SegmentOffer:
    """An offer with rules, as far as its members depend on it. Not `allow_all`: it is open to the holders
    of some roles and to users allowed by name."""

    id: UUID
    rules_version: int
    logic: Logic
    rules: tuple[Rule, ...]
    allow_all: bool = True
    allowed_roles: frozenset[str] = frozenset()

    @cached_property
    def rests_on(self) -> frozenset[Aspect]:
        """What its members depend on."""
        aspects = {_rests_on(rule) for rule in self.rules}
        return frozenset(aspects if self.allow_all else aspects | {PROFILE})


def _rests_on(rule: Rule) -> Aspect:
    match rule:
        case NewUserRule():
            return PROFILE
        case MinTopupsRule():
            return "topup"
        case OperatorTopupCountRule(params=params):
            return "topup", params.operator_id
        case OperatorSpentRule(params=params):
            return "transaction", params.operator_id
        case _:
            return "transaction"


@dataclass(frozen=True)
class Catalogue:
    """Offers in the order of their ids."""

    offers: tuple[SegmentOffer, ...]

    @cached_property
    def ids(self) -> Ids:
        """Their ids, (offers,)."""
        return to_ids(offer.id for offer in self.offers)

    @cached_property
    def rules(self) -> RuleTable:
        """Their rules, ready to be judged."""
        return RuleTable([(offer.rules, offer.logic) for offer in self.offers])

    def resting_on(self, aspects: frozenset[Aspect]) -> tuple[int, ...]:
        """The places of the offers whose members depend on one of these."""
        return tuple(place for place, offer in enumerate(self.offers) if not aspects.isdisjoint(offer.rests_on))

    def only(self, ids: Collection[UUID]) -> "Catalogue":
        """Those of the offers that have one of these ids."""
        return self.part(tuple(place for place, offer in enumerate(self.offers) if offer.id in ids))

    def part(self, places: tuple[int, ...]) -> "Catalogue":
        """The offers at these places. Batches that touch the same things ask for the same parts."""
        if len(places) == len(self.offers):
            return self
        if places not in self._parts:
            if len(self._parts) >= PARTS_MAX:
                self._parts.clear()
            self._parts[places] = Catalogue(tuple(self.offers[place] for place in places))
        return self._parts[places]

    @cached_property
    def _parts(self) -> "dict[tuple[int, ...], Catalogue]":
        return {}
