"""From an event's sending to the membership it leads to being readable.

Each event is its user's first topup on an operator that one offer asks for, so exactly one new row must
appear; a reader asks by primary key for those still missing.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from deploy.bench.backlog import Stalled
from deploy.bench.pacing import EVENTS_PER_S, Latencies, latencies, send_paced
from deploy.bench.segmenter.population import encoded
from deploy.bench.segmenter.preparing import queries
from shared.broker import Publisher
from shared.database import Connection
from shared.events.topups import TopupEvent
from shared.settings import KafkaSettings

POLL_S: Final = 0.003
ENTRY_TIMEOUT_S: Final = 60.0


async def measure_visibility(
    connection: Connection, kafka: KafkaSettings, offer_id: UUID, events: Sequence[TopupEvent], warm_up: int
) -> Latencies:
    """Send the events at a steady pace and see each one's membership appear; the first `warm_up` don't count.

    Raises:
        Stalled: a membership does not appear.
    """
    publisher = Publisher(kafka, "bench")
    await publisher.start()
    try:
        watch = _Watch(connection, offer_id, len(events))
        messages = encoded(events)

        async def send(place: int, due: float) -> None:
            watch.expect(events[place].user_id, due)
            await publisher.publish_all([messages[place]])

        watching = asyncio.create_task(watch.until_all_seen())
        try:
            await send_paced(len(events), EVENTS_PER_S, send)
            await watching
        finally:
            watching.cancel()
    finally:
        await publisher.stop()
    measured = [event.user_id for event in events[warm_up:]]
    return latencies([watch.due[user] for user in measured], [watch.seen[user] for user in measured])


class _Watch:
    """When each expected user became a member of one offer."""

    def __init__(self, connection: Connection, offer_id: UUID, count: int) -> None:
        self._connection = connection
        self._offer_id = offer_id
        self._count = count
        self._missing: dict[UUID, float] = {}
        self.due: dict[UUID, float] = {}
        self.seen: dict[UUID, float] = {}

    def expect(self, user_id: UUID, due: float) -> None:
        """The user's event was due then and is being sent."""
        self.due[user_id] = self._missing[user_id] = due

    async def until_all_seen(self) -> None:
        while len(self.seen) < self._count:
            await asyncio.sleep(POLL_S)
            if not self._missing:
                continue
            rows = await self._connection.fetch(queries.entered, self._offer_id, list(self._missing))
            now = time.perf_counter()
            for row in rows:
                self.seen[row["user_id"]] = now
                del self._missing[row["user_id"]]
            if self._missing and now - min(self._missing.values()) > ENTRY_TIMEOUT_S:
                raise Stalled(f"{len(self._missing)} memberships not there {ENTRY_TIMEOUT_S:g} s after their events")
