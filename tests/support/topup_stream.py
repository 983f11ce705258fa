"""A stream of topup and user events as a bad day brings it: repeated, reversed, corrected and out of order."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

from shared.events.topups import TopupEvent
from shared.events.users import UserEvent

DAYS: Final = (0, 0, 1, 3, 6, 7, 12, 29, 30, 90)
HOURS: Final = (2, 22)
"""No event's age comes near a whole number of days, so that no membership lapses while the test looks."""

ROLES: Final[Sequence[list[str]]] = ([], ["agent"], ["agent", "staff"], ["staff"])


class TopupStream:
    """Makes events by chance; the same chance makes the same stream."""

    def __init__(self, chance: random.Random, users: int, operators: int) -> None:
        self._chance = chance
        self._now = datetime.now(UTC)
        self.users = [self._id() for _ in range(users)]
        self.operators = [self._id() for _ in range(operators)]

    def events(self, topups: int) -> list[TopupEvent | UserEvent]:
        """So many topups, with what became of them, and two events of most users; shuffled."""
        events: list[TopupEvent | UserEvent] = []
        for _ in range(topups):
            events += self._life_of_a_topup()
        for user in self.users:
            events += [self._user(user) for _ in range(self._chance.randint(0, 2))]
        events += self._chance.sample(events, len(events) // 5)
        self._chance.shuffle(events)
        return events

    def _life_of_a_topup(self) -> list[TopupEvent]:
        first = self._topup()
        life = [first]
        if self._chance.random() < 0.2:
            life.append(self._later(first, type="topup.reversed"))
        if self._chance.random() < 0.2:
            amount, operator = self._amount(), self._chance.choice(self.operators)
            life.append(self._later(first, type="topup.succeeded", amount=amount, operator_id=operator))
        if self._chance.random() < 0.1:
            life.append(self._later(first, type="topup.failed"))
        return life

    def _topup(self) -> TopupEvent:
        return TopupEvent(
            event_id=self._id(),
            type=self._chance.choices(["topup.succeeded", "topup.failed"], [9, 1])[0],
            topup_id=self._id(),
            user_id=self._chance.choice(self.users),
            operator_id=self._chance.choice(self.operators),
            kind=self._kind(),
            amount=self._amount(),
            occurred_at=self._moment(),
        )

    def _later(self, event: TopupEvent, **changes: Any) -> TopupEvent:
        later = event.occurred_at + timedelta(seconds=self._chance.randint(1, 3_000))
        return event.model_copy(update={"event_id": self._id(), "occurred_at": later} | changes)

    def _user(self, user: UUID) -> UserEvent:
        return UserEvent(
            event_id=self._id(),
            type="user.updated",
            user_id=user,
            registered_at=self._moment(),
            roles=self._chance.choice(ROLES),
            occurred_at=self._moment(),
        )

    def _kind(self) -> Literal["topup", "purchase"]:
        return "topup" if self._chance.random() < 0.8 else "purchase"

    def _amount(self) -> Decimal:
        return Decimal(self._chance.randint(0, 9_999)) / 100

    def _moment(self) -> datetime:
        age = timedelta(days=self._chance.choice(DAYS), hours=self._chance.uniform(*HOURS))
        return self._now - age

    def _id(self) -> UUID:
        return UUID(int=self._chance.getrandbits(128))
