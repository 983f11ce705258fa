"""The segmenter that stores topups and computes nothing: the limit its memberships are measured against.

Run as a program it is a worker like `offers run segmenter`, with the same shell, locking and storing.
"""

import asyncio
from collections.abc import Callable, Sequence

from services.segmenter.app import SegmenterSettings, create_segmenter, wire
from services.segmenter.evaluation import Evaluator
from services.segmenter.handler import SERVICE, SegmenterHandler, newest_topups
from services.segmenter.lapse import Postponed
from services.segmenter.store import lock_users, store_topups
from shared.batches import Received
from shared.broker import Outgoing, Publisher
from shared.database import Pool, create_pool
from shared.events.topups import TopupEvent
from shared.service import run_service
from shared.settings import load_settings


class IngestHandler(SegmenterHandler):
    """Locks users and stores their topups, as SegmenterHandler does before it evaluates them."""

    def __init__(self, pool: Pool, publisher: Publisher) -> None:
        segmenter = create_segmenter(pool, publisher)
        super().__init__(pool, Evaluator(), Postponed(), segmenter.rebuilder, segmenter.relay)
        self._storing = pool

    async def topups(self, received: Sequence[Received[TopupEvent]]) -> list[Outgoing]:
        """Store a batch of topup events."""
        events = newest_topups(item.message for item in received)
        async with self._storing.acquire() as connection, connection.transaction():
            await lock_users(connection, sorted({event.user_id for event in events}))
            await store_topups(connection, events)
        return []


async def serve(stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Store topups until told to stop."""
    settings = load_settings(SegmenterSettings)
    publisher = Publisher(settings, SERVICE)
    async with create_pool(settings, SERVICE) as pool:
        await publisher.start()
        try:
            broker = wire(settings, IngestHandler(pool, publisher), publisher)
            await broker.start()
            ready()
            await stop.wait()
            await broker.stop()
        finally:
            await publisher.stop()


if __name__ == "__main__":
    run_service(SERVICE, serve)
