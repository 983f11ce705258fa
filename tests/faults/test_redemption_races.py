"""Thirty-two producers and four workers on offers that run out, with revocations: exact, never above, none left."""

import asyncio
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from shared.settings import KafkaSettings
from tests.support.campaign import add_offer
from tests.support.checkouts import Reply
from tests.support.redemption_recount import SKIPPED_MAX
from tests.support.redemption_rush import Request
from tests.support.redemption_trial import RedemptionTrial, redemption_trial, usage_and_accepted
from tests.support.requests import redeem

PRODUCERS: Final = 32
WORKERS: Final = 4
REDEEMS: Final = {1: 300, 100: 600, 10_000: 10_600}
"""How many redeems there are, by the offer's limit."""
REVOKED: Final = {1: 1.0, 100: 0.5, 10_000: 0.05}
"""The share of accepted redeems that are revoked at once."""
TOO_MANY: Final = 7


async def test_limits_hold_exactly_while_uses_are_revoked(
    database_url: str, kafka: KafkaSettings, redis_url: str, tmp_path: Path
) -> None:
    async with redemption_trial(
        database_url, kafka, redis_url, tmp_path, producers=PRODUCERS, OFFERS_BATCH_RECORDS_MAX="500"
    ) as trial:
        offers = {await add_offer(trial.pool, total_usage_limit=limit): limit for limit in REDEEMS}
        names = [f"worker-{place}" for place in range(WORKERS)]
        workers = await asyncio.gather(*map(trial.workers.start, names))
        await trial.group.until_members(WORKERS)
        await race(trial, offers)
        await use_up(trial, offers)
        recount = await trial.recount(*workers, skipped_max=20 * SKIPPED_MAX)
        for offer, limit in offers.items():
            revoked = len(recount.accepted(offer, "revoke"))
            assert revoked > 0
            assert await usage_and_accepted(recount, offer) == (limit, limit + revoked)
            recount.check_history(offer, limit)
        await recount.check(trial.publisher)


async def race(trial: RedemptionTrial, offers: dict[UUID, int]) -> None:
    """Redeems of all offers mixed; some of those accepted are revoked as soon as their answer is there."""
    requests = [redeem(offer) for offer, limit in offers.items() for _ in range(REDEEMS[limit])]
    trial.chance.shuffle(requests)
    limits = {str(offer): limit for offer, limit in offers.items()}

    def revoke_some(request: Request, reply: Reply) -> Request | None:
        kept = reply["status"] == "rejected" or trial.chance.random() > REVOKED[limits[reply["offer_id"]]]
        return None if kept else trial.rush.revoke(request)

    await trial.checkouts.ask(requests, revoke_some)


async def use_up(trial: RedemptionTrial, offers: dict[UUID, int]) -> None:
    """Redeem whatever revocations left, and a few more."""
    for offer, limit in offers.items():
        used = await trial.pool.fetchval("SELECT usage_count FROM offers WHERE id = $1", offer)
        await trial.checkouts.ask([redeem(offer) for _ in range(limit - used + TOO_MANY)])


async def test_copies_of_one_request_that_no_lock_orders_are_all_answered_alike(
    database_url: str, kafka: KafkaSettings, redis_url: str, tmp_path: Path
) -> None:
    """Requests for an offer nobody has take no lock, so only the stored decision keeps their copies in step."""
    async with redemption_trial(database_url, kafka, redis_url, tmp_path, producers=PRODUCERS) as trial:
        workers = await asyncio.gather(*map(trial.workers.start, ["first", "second"]))
        await trial.group.until_members(2)
        unknown = [redeem(uuid4()) for _ in range(600)]
        copies = [request for request in unknown for _ in range(4)]
        await trial.checkouts.ask(copies)
        recount = await trial.recount(*workers, skipped_max=20 * SKIPPED_MAX)
        assert {reply["reason"] for reply in recount.replies.values()} == {"offer_not_found"}
        await recount.check(trial.publisher)
