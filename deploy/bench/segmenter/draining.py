"""Topups that wait for a worker, and the worker that stores them: the segmenter's, or the one that only stores."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from deploy.bench.backlog import Drained, Stalled
from deploy.bench.draining import Job, Underway, worker_drained
from deploy.bench.segmenter.population import encoded
from deploy.bench.segmenter.preparing import INGEST_DATABASE, queries
from deploy.bench.servers import Servers, database
from deploy.bench.steps import Steps
from deploy.bench.workers import service_argv
from shared.events.topups import TopupEvent
from shared.topics import TOPUPS

SERVICE: Final = "segmenter"
INGEST: Final = (sys.executable, "-m", "deploy.bench.segmenter.ingest")


@asynccontextmanager
async def segmenter_drained(
    servers: Servers, number: int, events: Sequence[TopupEvent], steps: Steps
) -> AsyncIterator[Underway]:
    """The events of round `number` through the segmenter, as `offers run segmenter` starts it.

    Raises:
        ServerError: the worker ended.
        Stalled: topups are missing.
    """
    job = Job(f"{number}.topups", service_argv(SERVICE), servers.database_url, SERVICE, TOPUPS)
    async with _stored(servers, job, events, steps) as underway:
        yield underway


async def ingest_drained(servers: Servers, number: int, events: Sequence[TopupEvent], steps: Steps) -> Drained:
    """The events of round `number` through the worker that only stores them; raises as segmenter_drained does."""
    job = Job(f"{number}.ingest", INGEST, servers.database_named(INGEST_DATABASE), SERVICE, TOPUPS)
    async with _stored(servers, job, events, steps) as underway:
        return underway.drained


@asynccontextmanager
async def _stored(servers: Servers, job: Job, events: Sequence[TopupEvent], steps: Steps) -> AsyncIterator[Underway]:
    async with worker_drained(servers, job, encoded(events), steps, "topups stored") as underway:
        async with database(job.database_url) as connection:
            stored = await connection.fetchval(queries.count_stored, [event.topup_id for event in events])
        if stored != len(events):
            raise Stalled(f"{stored:,} of {len(events):,} topups are stored, though all are committed")
        yield underway
