"""The invented users, their transactions, the offers, and the requests to use them: the same at every run.

Every user is eligible for the hot offer. Of the others, each asks for a topup on one operator, and each user
has topped up on one operator alone, so that a user is a member of a few of them and an offer has a segment.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np

from deploy.bench.redemption.options import SEED
from shared.events.redemption_requests import RedeemRequest
from shared.rules import RULE, Rule

OFFERS_OF_USER: Final = 5
"""How many of the offers beside the hot one a user is eligible for."""
TRANSACTIONS_OF_USER: Final = 10
WINDOW_DAYS: Final = 30
HISTORY_DAYS: Final = 25  # Within the window whenever the benchmark runs: no membership lapses meanwhile.
HOT_TOPUPS: Final = 3
TOTAL_USAGE_LIMIT: Final = 100_000_000
PERCENT: Final = 10
AMOUNT: Final = Decimal("20.00")
PRICES: Final = tuple(Decimal(text) for text in ("50.00", "99.99", "100.00", "149.50", "1000.00"))
DEADLINE: Final = timedelta(hours=6)

TopupRow = tuple[UUID, UUID, UUID, Decimal, str, datetime]


@dataclass(frozen=True, slots=True)
class BenchOffer:
    """An offer as far as the benchmark's offers differ."""

    id: UUID
    code: str
    rule: Rule


class Campaign:
    """Users and offers, and as many requests as asked for, each of which is to be accepted."""

    def __init__(self, users: int, offers: int, now: datetime) -> None:
        self._now = now
        self._random = np.random.default_rng(SEED)
        self.users = self._ids(users)
        self._operators = self._ids(math.ceil(offers / OFFERS_OF_USER))
        self._products = self._ids(len(PRICES))
        hot_id, *ids = self._ids(offers + 1)
        self.hot = BenchOffer(
            hot_id, "BENCH-HOT", _rule("min_topups", {"count": HOT_TOPUPS, "window_days": WINDOW_DAYS})
        )
        self.spread = [self._spread_offer(place, id_) for place, id_ in enumerate(ids)]

    def topup_rows(self) -> Iterator[TopupRow]:
        """Succeeded topups, each user's on one operator."""
        count = len(self.users) * TRANSACTIONS_OF_USER
        ago_s = self._random.uniform(60, HISTORY_DAYS * 86_400, count).tolist()
        for place, (topup_id, ago) in enumerate(zip(self._ids(count), ago_s, strict=True)):
            user = place % len(self.users)
            operator_id = self._operators[user % len(self._operators)]
            yield topup_id, self.users[user], operator_id, AMOUNT, "succeeded", self._now - timedelta(seconds=ago)

    def hot_requests(self, count: int) -> list[RedeemRequest]:
        """Requests for the hot offer, by all users equally often."""
        return [
            self._request(place, request_id, self.hot.id, user)
            for place, (request_id, user) in enumerate(zip(self._ids(count), self._drawn_users(count), strict=True))
        ]

    def spread_requests(self, count: int) -> list[RedeemRequest]:
        """Requests for the other offers, by all users equally often, each time for another of the user's offers."""
        requests = []
        for place, (request_id, user) in enumerate(zip(self._ids(count), self._drawn_users(count), strict=True)):
            own = self.spread[user % len(self._operators) :: len(self._operators)]
            offer = own[(user + place // len(self.users)) % len(own)]
            requests.append(self._request(place, request_id, offer.id, user))
        return requests

    def _drawn_users(self, count: int) -> Sequence[int]:
        order = self._random.permutation(len(self.users))
        drawn: list[int] = np.resize(order, count).tolist()
        return drawn

    def _spread_offer(self, place: int, id_: UUID) -> BenchOffer:
        operator_id = self._operators[place % len(self._operators)]
        params = {"operator_id": operator_id, "count": 1, "window_days": WINDOW_DAYS}
        return BenchOffer(id_, f"BENCH-{place:05}", _rule("operator_topup_count", params))

    def _request(self, place: int, request_id: UUID, offer_id: UUID, user: int) -> RedeemRequest:
        return RedeemRequest(
            request_id=request_id,
            offer_id=offer_id,
            user_id=self.users[user],
            operator_product_id=self._products[place % len(PRICES)],
            unit_price=PRICES[place % len(PRICES)],
            deadline=self._now + DEADLINE,
        )

    def _ids(self, count: int) -> list[UUID]:
        drawn = self._random.bytes(16 * count)
        return [UUID(bytes=drawn[start : start + 16]) for start in range(0, len(drawn), 16)]


def _rule(rule_type: str, params: dict[str, Any]) -> Rule:
    return RULE.validate_python({"rule_key": "entry", "rule_type": rule_type, "params": params})
