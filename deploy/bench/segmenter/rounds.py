"""One round: the same topups through the segmenter and through the worker that only stores them, and the rest."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from deploy.bench.backlog import Drained, Stalled
from deploy.bench.draining import Underway
from deploy.bench.pacing import Latencies
from deploy.bench.segmenter.draining import ingest_drained, segmenter_drained
from deploy.bench.segmenter.options import Options
from deploy.bench.segmenter.preparing import Prepared, queries
from deploy.bench.segmenter.recompute import recompute
from deploy.bench.segmenter.visibility import measure_visibility
from deploy.bench.servers import Servers, database
from deploy.bench.steps import Steps
from shared.clock import utc_now
from shared.database import Connection
from shared.events.topups import TopupEvent

PAIRS_CHECKED: Final = 500
LOOK_S: Final = 0.1
ANNOUNCED_S_MAX: Final = 120.0


@dataclass(frozen=True, slots=True)
class SegmenterRun:
    """What the segmenter did with a round's topups, and with the paced events after them.

    `entries` is how many members there are more than before; `announced_s` how long after the last topup
    was stored the last segments.changed event was sent.
    """

    drained: Drained
    entries: int
    announced_s: float
    disagreements: int
    visible: Latencies


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of one round; `recompute_s` is of this round's share of the offers measured."""

    segmenter: SegmenterRun
    ingest: Drained
    recompute_s: float


class Rounds:
    """Runs rounds on prepared servers."""

    def __init__(self, servers: Servers, options: Options, prepared: Prepared, steps: Steps) -> None:
        self._servers = servers
        self._options = options
        self._prepared = prepared
        self._steps = steps

    async def run(self, number: int, recomputed: Sequence[UUID]) -> Round:
        """Run round `number`, from 1, and recompute these offers; who goes first alternates.

        Raises:
            Stalled: topups or memberships are missing.
            ServerError: a worker ended.
        """
        events = self._prepared.population.topups(self._options.topups, utc_now())
        if number % 2:
            segmenter = await self._segmenter(number, events)
            ingest = await ingest_drained(self._servers, number, events, self._steps)
        else:
            ingest = await ingest_drained(self._servers, number, events, self._steps)
            segmenter = await self._segmenter(number, events)
        async with database(self._servers.database_url) as connection:
            with self._steps.step(f"round {number}: {len(recomputed)} offers recomputed from nothing"):
                return Round(segmenter, ingest, await recompute(connection, recomputed))

    async def _segmenter(self, number: int, events: Sequence[TopupEvent]) -> SegmenterRun:
        async with database(self._servers.database_url) as connection:
            members: int = await connection.fetchval(queries.count_members)
            async with segmenter_drained(self._servers, number, events, self._steps) as underway:
                announced_s = await _until_announced(connection)
                entries = await connection.fetchval(queries.count_members) - members
                disagreements = await self._disagreements(connection, events)
                visible = await self._visibility(number, connection, underway)
                return SegmenterRun(underway.drained, entries, announced_s, disagreements, visible)

    async def _disagreements(self, connection: Connection, events: Sequence[TopupEvent]) -> int:
        pairs = self._prepared.population.pairs(events, self._prepared.offer_ids, PAIRS_CHECKED)
        offers, users = zip(*pairs, strict=True)
        found: int = await connection.fetchval(queries.disagreements, offers, users)
        return found

    async def _visibility(self, number: int, connection: Connection, underway: Underway) -> Latencies:
        await underway.worker.until_ready()
        warm_up = self._options.warm_up_events
        events = self._prepared.population.first_on_reserved(self._options.events + warm_up, utc_now())
        offer_id = self._prepared.offer_ids[0]
        with self._steps.step(f"round {number}: {len(events):,} events sent, memberships seen"):
            return await measure_visibility(connection, underway.kafka, offer_id, events, warm_up)


async def _until_announced(connection: Connection) -> float:
    """Wait until all announcements are sent, so that they slow no paced event; the seconds it took."""
    started = time.perf_counter()
    try:
        async with asyncio.timeout(ANNOUNCED_S_MAX):
            while await connection.fetchval(queries.unsent):  # noqa: ASYNC110 - the outbox tells nobody
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise Stalled(f"announcements still unsent {ANNOUNCED_S_MAX:g} s after the last topup") from None
    return time.perf_counter() - started
