"""Services inside the test's process, on the test's database and topics."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from services.redemption.app import RedemptionSettings
from services.redemption.app import wire as wire_redemption
from services.segmenter.app import SegmenterSettings, create_segmenter
from services.segmenter.app import wire as wire_segmenter
from shared.broker import Publisher
from shared.database import Pool
from shared.service import background
from shared.settings import KafkaSettings
from shared.subscriptions import Subscriptions

UNUSED_URL = "postgresql://unused"
UNUSED_REDIS_URL = "redis://unused"


async def _start_together(stack: AsyncExitStack, brokers: Sequence[Subscriptions]) -> None:
    for broker in brokers:
        stack.push_async_callback(broker.stop)
    await asyncio.gather(*(broker.start() for broker in brokers))


@asynccontextmanager
async def redemption_workers(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher, count: int = 1
) -> AsyncIterator[None]:
    """Redemption workers with `count` consumers of one group."""
    settings = RedemptionSettings(database_url=UNUSED_URL, redis_url=UNUSED_REDIS_URL, **kafka.model_dump())
    async with AsyncExitStack() as stack:
        brokers = [wire_redemption(settings, pool, publisher) for _ in range(count)]
        await _start_together(stack, brokers)
        yield


@asynccontextmanager
async def segmenter_workers(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher, count: int = 1
) -> AsyncIterator[None]:
    """Segmenter workers with `count` consumers of one group."""
    settings = SegmenterSettings(database_url=UNUSED_URL, **kafka.model_dump())
    async with AsyncExitStack() as stack:
        brokers = []
        for _ in range(count):
            segmenter = create_segmenter(pool, publisher)
            await stack.enter_async_context(background(*segmenter.background()))
            brokers.append(wire_segmenter(settings, segmenter.handler, publisher))
        await _start_together(stack, brokers)
        yield
