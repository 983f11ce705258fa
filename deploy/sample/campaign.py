"""Invents the campaign's users, operators and history from a seed; the same seed gives the same campaign."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from shared.events.topups import TopupEvent
from shared.events.users import UserEvent

USERS: Final = 300
HISTORY_DAYS: Final = 60
OPERATORS: Final = ("MTN", "Airtel", "Glo", "9mobile")
AMOUNTS: Final = ("5.00", "10.00", "15.00", "20.00", "50.00", "100.00")
REPEATED_SHARE: Final = 0.02

TopupType = Literal["topup.succeeded", "topup.failed", "topup.reversed"]


@dataclass(frozen=True, slots=True)
class Campaign:
    """Everything the offers and the checkouts of the sample are about."""

    operators: dict[str, UUID]
    products: list[UUID]
    users: list[UserEvent]
    topups: list[TopupEvent]

    @property
    def topup_count(self) -> int:
        """Different topups; some come twice."""
        return len({event.topup_id for event in self.topups})


def invent(seed: int, now: datetime) -> Campaign:
    """The campaign of a seed; its history ends at `now`."""
    rng = random.Random(seed)
    operators = {name: random_id(rng) for name in OPERATORS}
    products = [random_id(rng) for _ in range(2 * len(operators))]
    users = [_user(rng, now) for _ in range(USERS)]
    topups = [event for user in users for event in _history(rng, user, list(operators.values()), now)]
    # As upstream services do: a few come twice, and in no order.
    topups += rng.sample(topups, int(len(topups) * REPEATED_SHARE))
    rng.shuffle(topups)
    return Campaign(operators, products, users, topups)


def random_id(rng: random.Random) -> UUID:
    """A random UUID that the seed decides."""
    return UUID(int=rng.getrandbits(128), version=4)


def _user(rng: random.Random, now: datetime) -> UserEvent:
    registered_at = now - timedelta(days=rng.uniform(0.2, 1.5 * HISTORY_DAYS))
    roles = [role for role, share in (("reseller", 0.10), ("staff", 0.05)) if rng.random() < share]
    return UserEvent(
        event_id=random_id(rng),
        type="user.registered",
        user_id=random_id(rng),
        registered_at=registered_at,
        roles=roles,
        occurred_at=registered_at,
    )


def _history(rng: random.Random, user: UserEvent, operators: list[UUID], now: datetime) -> Iterator[TopupEvent]:
    """One user's transactions: few users make many, and most keep to one operator."""
    favourite = rng.choice(operators)
    for _ in range(min(60, int(rng.lognormvariate(2.2, 0.8)))):
        oldest = max(user.registered_at, now - timedelta(days=HISTORY_DAYS))
        yield TopupEvent(
            event_id=random_id(rng),
            type=_outcome(rng),
            topup_id=random_id(rng),
            user_id=user.user_id,
            operator_id=favourite if rng.random() < 0.75 else rng.choice(operators),
            kind="purchase" if rng.random() < 0.2 else "topup",
            amount=Decimal(rng.choice(AMOUNTS)),
            occurred_at=now - (now - oldest) * rng.random(),
        )


def _outcome(rng: random.Random) -> TopupType:
    outcomes: tuple[TopupType, ...] = ("topup.succeeded", "topup.failed", "topup.reversed")
    return rng.choices(outcomes, weights=(90, 7, 3))[0]
