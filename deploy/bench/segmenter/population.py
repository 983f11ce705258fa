"""The invented users and their transactions: the same at every run, but for the present time."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np

from deploy.bench.segmenter.options import SEED
from shared.broker import Outgoing
from shared.clock import DAY_US, from_us, to_us
from shared.events.topups import TopupEvent
from shared.topics import TOPUPS

OPERATORS: Final = 5
HISTORY_DAYS: Final = 120
TRANSACTIONS_MEAN: Final = 10
TRANSACTIONS_SIGMA: Final = 1.0  # Log-normal: half the users have 6 at most, one in a hundred more than 60.
REGISTERED_DAYS: Final = 1_095
TOPUP_SHARE: Final = 0.8
BLOCK: Final = 10_000
AMOUNTS: Final = tuple(Decimal(text) for text in ("5.00", "10.00", "10.00", "15.50", "20.00", "29.90", "50.00"))
AMOUNT_MEAN: Final = float(sum(AMOUNTS) / len(AMOUNTS))

UserRow = tuple[UUID, datetime]
TopupRow = tuple[UUID, UUID, UUID, str, Decimal, str, datetime]


class Population:
    """Users, operators, and as many transactions of theirs as asked for.

    `reserved_operator` is on no transaction but the first ones that `first_on_reserved` makes, each of
    another user.
    """

    def __init__(self, users: int, now: datetime) -> None:
        self._now = now
        self._random = np.random.default_rng(SEED)
        self.users = self._ids(users)
        *self.operators, self.reserved_operator = self._ids(OPERATORS + 1)
        mu = math.log(TRANSACTIONS_MEAN) - TRANSACTIONS_SIGMA**2 / 2
        counts = np.rint(self._random.lognormal(mu, TRANSACTIONS_SIGMA, users)).astype(np.int64)
        self._places = self._random.permutation(np.repeat(np.arange(users), counts))
        self._unseen = [self.users[place] for place in self._random.permutation(users).tolist()]

    def user_rows(self) -> Iterator[UserRow]:
        """Every user with the time of registration."""
        for user_id, registered_us in zip(self.users, self._times_us(len(self.users), REGISTERED_DAYS), strict=True):
            yield user_id, from_us(registered_us)

    def history_rows(self) -> Iterator[TopupRow]:
        """Succeeded transactions, oldest first: ten a user on average, few users with many."""
        places = self._places.tolist()
        times_us = sorted(self._times_us(len(places), HISTORY_DAYS))
        for start in range(0, len(places), BLOCK):
            users, times = places[start : start + BLOCK], times_us[start : start + BLOCK]
            ids, purchases = self._ids(len(users)), self._purchases(len(users))
            for topup_id, place, (operator_id, kind, amount), occurred_us in zip(
                ids, users, purchases, times, strict=True
            ):
                user_id = self.users[place]
                yield topup_id, user_id, operator_id, kind, amount, "succeeded", from_us(occurred_us)

    def topups(self, count: int, now: datetime) -> list[TopupEvent]:
        """New transactions that go on as the history went: who made many makes many."""
        users = [self.users[place] for place in self._random.choice(self._places, count).tolist()]
        return [
            self._event(topup_id, user_id, operator_id, kind, amount, now)
            for topup_id, user_id, (operator_id, kind, amount) in zip(
                self._ids(count), users, self._purchases(count), strict=True
            )
        ]

    def first_on_reserved(self, count: int, now: datetime) -> list[TopupEvent]:
        """First topups on the reserved operator, of users drawn at random and never again."""
        drawn, self._unseen = self._unseen[:count], self._unseen[count:]
        return [
            self._event(topup_id, user_id, self.reserved_operator, "topup", AMOUNTS[0], now)
            for topup_id, user_id in zip(self._ids(count), drawn, strict=True)
        ]

    def pairs(self, events: Sequence[TopupEvent], offers: Sequence[UUID], count: int) -> list[tuple[UUID, UUID]]:
        """Offers and users of these events, drawn at random."""
        users = self._random.integers(len(events), size=count).tolist()
        places = self._random.integers(len(offers), size=count).tolist()
        return [(offers[place], events[user].user_id) for place, user in zip(places, users, strict=True)]

    def _event(
        self, topup_id: UUID, user_id: UUID, operator_id: UUID, kind: Any, amount: Decimal, now: datetime
    ) -> TopupEvent:
        return TopupEvent(
            event_id=topup_id,
            type="topup.succeeded",
            topup_id=topup_id,
            user_id=user_id,
            operator_id=operator_id,
            kind=kind,
            amount=amount,
            occurred_at=now,
        )

    def _ids(self, count: int) -> list[UUID]:
        drawn = self._random.bytes(16 * count)
        return [UUID(bytes=drawn[start : start + 16]) for start in range(0, len(drawn), 16)]

    def _times_us(self, count: int, days: int) -> list[int]:
        times_us: list[int] = (to_us(self._now) - self._random.integers(1, days * DAY_US, size=count)).tolist()
        return times_us

    def _purchases(self, count: int) -> list[tuple[UUID, str, Decimal]]:
        operators = self._random.integers(OPERATORS, size=count).tolist()
        amounts = self._random.integers(len(AMOUNTS), size=count).tolist()
        topups = (self._random.random(count) < TOPUP_SHARE).tolist()
        return [
            (self.operators[operator], "topup" if topup else "purchase", AMOUNTS[amount])
            for operator, topup, amount in zip(operators, topups, amounts, strict=True)
        ]


def encoded(events: Sequence[TopupEvent]) -> list[Outgoing]:
    """The events as upstream publishes them."""
    return [Outgoing(TOPUPS, str(event.user_id).encode(), event.to_bytes()) for event in events]
