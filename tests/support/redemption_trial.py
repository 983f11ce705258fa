"""Redemption on trial: workers, a rush of requests on them, and the recount when the fault is over."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from shared.broker import Publisher
from shared.database import Pool, create_pool
from shared.settings import DatabaseSettings, KafkaSettings
from shared.topics import REDEMPTION_REQUESTS
from tests.support.checkouts import Checkouts
from tests.support.consumer_group import ConsumerGroup, consumer_group
from tests.support.redemption_recount import SKIPPED_MAX, Recount
from tests.support.redemption_rush import RETURNED_LIMIT, Offers, Rush, add_offers
from tests.support.seed import printed_seed
from tests.support.worker_processes import WorkerProcess, WorkerProcesses, worker_processes


@dataclass(frozen=True, slots=True)
class RedemptionTrial:
    """Everything a fault test of redemption needs."""

    chance: random.Random
    pool: Pool
    kafka: KafkaSettings
    publisher: Publisher
    workers: WorkerProcesses
    checkouts: Checkouts
    group: ConsumerGroup
    offers: Offers
    rush: Rush

    async def recount(self, *running: WorkerProcess, skipped_max: int = SKIPPED_MAX) -> Recount:
        """Let the workers finish and end them in order; then recount what everybody was told."""
        await self.group.until_consumed(self.checkouts.ends)
        assert [await worker.stop() for worker in running] == [0] * len(running)
        return await Recount.take(self.pool, self.kafka, self.checkouts.sent, skipped_max)

    async def finish(self, *running: WorkerProcess) -> None:
        """Use up what was revoked, and hold everything against what the rush must come to."""
        await self.checkouts.ask(self.rush.refill())
        recount = await self.recount(*running)
        await check_offers(recount, self.offers)
        await recount.check(self.publisher)


async def check_offers(recount: Recount, offers: Offers) -> None:
    """Each offer was used as often as it may be, and everybody else was told why not."""
    assert await usage_and_accepted(recount, offers.hot) == (150, 150)
    assert recount.refusals(offers.hot) == {"offer_exhausted": 350}
    recount.check_history(offers.hot, 150)
    assert await usage_and_accepted(recount, offers.personal) == (60, 60)
    assert recount.refusals(offers.personal) == {"per_user_limit_reached": 120}
    revoked = len(recount.accepted(offers.returned, "revoke"))
    assert await usage_and_accepted(recount, offers.returned) == (40, 40 + revoked)
    recount.check_history(offers.returned, RETURNED_LIMIT)
    assert await usage_and_accepted(recount, offers.ruled) == (0, 0)
    reasons = Counter(reply["reason"] for reply in recount.replies.values())
    assert [reasons[reason] for reason in ("not_eligible", "offer_not_found", "invalid_request")] == [60, 30, 30]


async def usage_and_accepted(recount: Recount, offer: UUID) -> tuple[int, int]:
    return await recount.usage(offer), len(recount.accepted(offer))


@asynccontextmanager
async def redemption_trial(
    database_url: str, kafka: KafkaSettings, redis_url: str, folder: Path, producers: int = 8, **environment: str
) -> AsyncIterator[RedemptionTrial]:
    """A trial on these servers, without a worker yet; `environment` is added to the workers'."""
    chance = random.Random(printed_seed())
    settings = DatabaseSettings(database_url=database_url, database_pool_size_max=10)
    publisher = Publisher(kafka, "test")
    own = {"OFFERS_REDIS_URL": redis_url}
    async with (
        create_pool(settings, "test") as pool,
        worker_processes("redemption", database_url, kafka, folder, **own | environment) as workers,
        Checkouts(kafka, chance, producers) as checkouts,
        consumer_group(kafka, "redemption", REDEMPTION_REQUESTS) as group,
    ):
        await publisher.start()
        try:
            offers = await add_offers(pool)
            rush = Rush(chance, offers)
            yield RedemptionTrial(chance, pool, kafka, publisher, workers, checkouts, group, offers, rush)
        finally:
            await publisher.stop()
