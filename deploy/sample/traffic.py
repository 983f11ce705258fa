"""Plays checkouts through the redemption client, many at a time, and counts what they were told."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from deploy.sample.campaign import Campaign, random_id
from deploy.sample.offers import WEIGHTS
from shared.client import RedemptionClient
from shared.clock import utc_now
from shared.errors import OffersError
from shared.events.redemption_replies import RedemptionReply
from shared.events.redemption_requests import QuoteRequest, RedeemRequest, RevokeRequest

CHECKOUTS: Final = 1_650
AT_ONCE: Final = 64
TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Checkout:
    """One purchase: perhaps a quote first, then the redeem, then perhaps a repeat of it or a revoke."""

    redeem: RedeemRequest
    quote: QuoteRequest | None
    repeated: bool
    revoke: RevokeRequest | None

    @property
    def requests(self) -> int:
        """How many requests it sends."""
        return 1 + self.repeated + (self.quote is not None) + (self.revoke is not None)


@dataclass(slots=True)
class Tally:
    """What came back."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    repeats: int = 0
    repeats_that_differ: int = 0
    unanswered: list[str] = field(default_factory=list)
    took_s: float = 0.0


def invent_checkouts(seed: int, campaign: Campaign, now: datetime) -> list[Checkout]:
    """The checkouts of a seed."""
    rng = random.Random(seed)
    return [_checkout(rng, campaign, now) for _ in range(CHECKOUTS)]


def _checkout(rng: random.Random, campaign: Campaign, now: datetime) -> Checkout:
    code = rng.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))[0]
    # Those who ask for the product offer mostly buy its products.
    product = rng.choice(campaign.products[:2] if code == "MTN8" and rng.random() < 0.8 else campaign.products)
    late = rng.random() < 0.02
    redeem = RedeemRequest(
        request_id=random_id(rng),
        code=code,
        user_id=rng.choice(campaign.users).user_id,
        operator_product_id=product,
        quantity=rng.choices((1, 2, 3), weights=(80, 15, 5))[0],
        unit_price=Decimal(rng.choice(("9.00", "15.00", "20.00", "50.00"))),
        deadline=now - timedelta(seconds=1) if late else None,
    )
    quote = _quote(rng, redeem) if rng.random() < 0.12 else None
    repeated = rng.random() < 0.06
    revoke = _revoke(random_id(rng), redeem.request_id) if rng.random() < 0.06 else None
    return Checkout(redeem, quote, repeated, revoke)


def _quote(rng: random.Random, redeem: RedeemRequest) -> QuoteRequest:
    return QuoteRequest(
        command="quote",
        request_id=random_id(rng),
        code=redeem.code if rng.random() < 0.5 else None,
        user_id=redeem.user_id,
        operator_product_id=redeem.operator_product_id,
        quantity=redeem.quantity,
        unit_price=redeem.unit_price,
    )


def _revoke(request_id: UUID, redeem_request_id: UUID) -> RevokeRequest:
    return RevokeRequest(
        command="revoke", request_id=request_id, redeem_request_id=redeem_request_id, reason="payment failed"
    )


async def play_checkouts(
    client: RedemptionClient, checkouts: Sequence[Checkout], advance: Callable[[int], object]
) -> Tally:
    """Play all of them, AT_ONCE at a time; `advance` is told of every request done."""
    tally = Tally()
    waiting = iter(checkouts)

    async def till() -> None:
        for checkout in waiting:
            await _play(client, checkout, tally)
            advance(checkout.requests)

    started = time.perf_counter()
    await asyncio.gather(*(till() for _ in range(AT_ONCE)))
    tally.took_s = time.perf_counter() - started
    return tally


async def _play(client: RedemptionClient, checkout: Checkout, tally: Tally) -> None:
    if checkout.quote is not None:
        await _ask(client, checkout.quote, tally)
    first = await _ask(client, checkout.redeem, tally)
    if checkout.repeated:
        tally.repeats += 1
        # The caller did not get the answer, so it asks again, with a later deadline.
        again = checkout.redeem.model_copy(update={"deadline": utc_now() + timedelta(seconds=TIMEOUT_S)})
        tally.repeats_that_differ += await _ask(client, again, tally) != first
    if checkout.revoke is not None:
        await _ask(client, checkout.revoke, tally)


async def _ask(
    client: RedemptionClient, request: RedeemRequest | QuoteRequest | RevokeRequest, tally: Tally
) -> RedemptionReply | None:
    started = time.perf_counter()
    try:
        reply = await client.send(request, TIMEOUT_S)
    except OffersError as error:
        tally.unanswered.append(str(error))
        return None
    tally.latencies_s.append(time.perf_counter() - started)
    tally.outcomes[reply.command, reply.reason or "accepted"] += 1
    return reply
