"""Two admin services as processes: both tell what happens, each decision is counted once, stopping ends streams."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import orjson

from shared.database import Pool
from shared.http.server import DRAIN_S_MAX
from shared.security import Role, create_token
from shared.settings import KafkaSettings
from tests.support.campaign import add_offer
from tests.support.deciding import redemption_handler, replies_to
from tests.support.event_streams import SOON_S, Reader
from tests.support.metrics import address
from tests.support.requests import redeem
from tests.support.worker_processes import worker_processes


async def test_two_services_count_once_tell_both_and_stop_in_time(
    database_url: str, pool: Pool, kafka: KafkaSettings, redis_url: str, tmp_path: Path
) -> None:
    offer = await add_offer(pool, total_usage_limit=3)
    async with pool.acquire() as connection:
        token = await create_token(connection, "the-viewer", Role.viewer)
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        worker_processes("admin", database_url, kafka, tmp_path, OFFERS_REDIS_URL=redis_url) as processes,
        AsyncExitStack() as stack,
    ):
        workers = [await processes.start(name) for name in ("first", "second")]
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=address(tmp_path, name), headers=headers))
            for name in ("first", "second")
        ]
        streams = []
        for client in clients:
            opened = client.stream("GET", f"/api/offers/{offer}/insight/events", timeout=SOON_S)
            streams.append(Reader(await stack.enter_async_context(opened)))
        assert [(await stream.next_figures())["totals"]["used"] for stream in streams] == [0, 0]
        await replies_to(redemption_handler(pool), [orjson.dumps(redeem(offer)) for _ in range(5)])
        for stream in streams:
            while (figures := await stream.next_figures())["day"]["accepted"] < 3 or not figures["day"]["rejected"]:
                pass
            assert (figures["totals"]["used"], figures["day"]["accepted"]) == (3, 3)
            assert figures["day"]["rejected"] == {"offer_exhausted": 2}
        async with asyncio.timeout(DRAIN_S_MAX):
            assert await workers[0].stop() == 0
        await streams[0].ended()
        assert await pool.fetchval("SELECT sum(decisions)::integer FROM offer_decision_counts") == 5
