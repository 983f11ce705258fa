"""A rush on four offers, as checkouts bring it: by id and by code, repeated, revoked, quoted, some of it nonsense."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from shared.database import Pool
from tests.support.campaign import add_offer
from tests.support.requests import redeem

Request = dict[str, Any]

HOT_LIMIT: Final = 150
HOT_REQUESTS: Final = 500
PERSONAL_LIMIT: Final = 2
PERSONAL_USERS: Final = 30
PERSONAL_REQUESTS: Final = 6
"""So many of each user."""
RETURNED_LIMIT: Final = 40
RETURNED_REQUESTS: Final = 240
REPEATS: Final = 300


@dataclass(frozen=True, slots=True)
class Offers:
    """The ids of the offers; their codes are the names in capitals."""

    hot: UUID
    """May be used HOT_LIMIT times."""
    personal: UUID
    """May be used PERSONAL_LIMIT times by each user."""
    returned: UUID
    """May be used RETURNED_LIMIT times, and its uses are revoked all the while."""
    ruled: UUID
    """Nobody has the topups it asks for."""


async def add_offers(pool: Pool) -> Offers:
    """Put the offers into the database."""
    return Offers(
        hot=await add_offer(pool, code="HOT", total_usage_limit=HOT_LIMIT),
        personal=await add_offer(pool, code="PERSONAL", per_user_limit=PERSONAL_LIMIT),
        returned=await add_offer(pool, code="RETURNED", total_usage_limit=RETURNED_LIMIT),
        ruled=await add_offer(pool, [{"rule_type": "min_topups", "params": {"count": 3}}], code="RULED"),
    )


class Rush:
    """Makes requests by chance; the same chance makes the same rush."""

    def __init__(self, chance: random.Random, offers: Offers) -> None:
        self._chance = chance
        self._offers = offers
        self._timeline: list[tuple[float, Request]] = []

    def requests(self) -> list[Request]:
        """Everything asked, in order; a redeem comes before its revokes and before its repeats."""
        for _ in range(HOT_REQUESTS):
            self._add(self._redeem(self._offers.hot, "HOT"))
        for user in [self._id() for _ in range(PERSONAL_USERS)]:
            for _ in range(PERSONAL_REQUESTS):
                self._add(self._redeem(self._offers.personal, "PERSONAL", user))
        for place in range(RETURNED_REQUESTS):
            at = self._add(redeemed := self._redeem(self._offers.returned, "RETURNED"))
            for _ in range((2, 1, 0, 0)[place % 4]):
                self._add(self.revoke(redeemed), at + self._chance.uniform(0.02, 0.2))
        self._add_odd_ones()
        for at, request in self._chance.sample(self._timeline, REPEATS):
            self._add(request, at + self._chance.uniform(0, 0.3))
        self._timeline.sort(key=lambda timed: timed[0])
        return [request for _, request in self._timeline]

    def refill(self) -> list[Request]:
        """Enough redeems to use up whatever was revoked."""
        return [self._redeem(self._offers.returned, "RETURNED") for _ in range(RETURNED_LIMIT)]

    def revoke(self, redeemed: Request) -> Request:
        """A revoke of what a redeem did."""
        return {
            "request_id": str(self._id()),
            "command": "revoke",
            "redeem_request_id": redeemed["request_id"],
        }

    def _add_odd_ones(self) -> None:
        for _ in range(60):
            self._add(self._redeem(self._offers.ruled, "RULED"))
            self._add(self._redeem(self._offers.hot, "HOT") | {"command": "quote"})
        for _ in range(30):
            self._add(redeem(None, self._id(), request_id=str(self._id()), command="quote"))
            self._add(self._redeem(self._id(), "UNKNOWN"))
            self._add(self._redeem(self._offers.hot, "HOT") | {"quantity": 0})

    def _add(self, request: Request, at: float | None = None) -> float:
        moment = self._chance.random() if at is None else at
        self._timeline.append((moment, request))
        return moment

    def _redeem(self, offer: UUID, code: str, user: UUID | None = None) -> Request:
        """By id or by code, as it happens."""
        ids = {"request_id": str(self._id())}
        buyer = user or self._id()
        return redeem(None, buyer, code=code, **ids) if self._chance.random() < 0.4 else redeem(offer, buyer, **ids)

    def _id(self) -> UUID:
        return UUID(int=self._chance.getrandbits(128))


def request_ids(requests: Sequence[Request]) -> set[str]:
    """Which requests there are, repeats left out."""
    return {request["request_id"] for request in requests}
