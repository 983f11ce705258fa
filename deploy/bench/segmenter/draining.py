"""Topups that wait for a worker, and the worker that stores them: the segmenter's, or the one that only stores."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from deploy.bench.backlog import CommittedOffsets, Drained, Stalled, drain
from deploy.bench.segmenter.population import encoded
from deploy.bench.segmenter.preparing import INGEST_DATABASE, queries
from deploy.bench.servers import Servers, database
from deploy.bench.steps import Steps
from deploy.bench.workers import Worker, running_worker
from shared.broker import Publisher
from shared.database import Connection
from shared.events.topups import TopupEvent
from shared.settings import KafkaSettings
from shared.topics import TOPUPS, create_topics

SERVICE: Final = "segmenter"
SEGMENTER: Final = (sys.executable, "-m", "deploy.cli", "run", SERVICE)
INGEST: Final = (sys.executable, "-m", "deploy.bench.segmenter.ingest")


@dataclass(frozen=True, slots=True)
class Underway:
    """A worker that has stored all topups and is still up, its database and topics."""

    drained: Drained
    worker: Worker
    connection: Connection
    kafka: KafkaSettings


@asynccontextmanager
async def segmenter_drained(
    servers: Servers, number: int, events: Sequence[TopupEvent], steps: Steps
) -> AsyncIterator[Underway]:
    """The events of round `number` through the segmenter, as `offers run segmenter` starts it.

    Raises:
        ServerError: the worker ended.
        Stalled: topups are missing.
    """
    async with _drained(servers, f"{number}.topups", SEGMENTER, servers.database_url, events, steps) as underway:
        yield underway


async def ingest_drained(servers: Servers, number: int, events: Sequence[TopupEvent], steps: Steps) -> Drained:
    """The events of round `number` through the worker that only stores them; raises as segmenter_drained does."""
    url = servers.database_named(INGEST_DATABASE)
    async with _drained(servers, f"{number}.ingest", INGEST, url, events, steps) as underway:
        return underway.drained


@asynccontextmanager
async def _drained(
    servers: Servers, run: str, argv: Sequence[str], database_url: str, events: Sequence[TopupEvent], steps: Steps
) -> AsyncIterator[Underway]:
    kafka = servers.kafka_for(run)
    await create_topics(kafka)
    await _publish(kafka, events)
    async with (
        database(database_url) as connection,
        running_worker(servers, run, argv, database_url, kafka) as worker,
    ):
        with steps.step(f"round {run}: {len(events):,} topups stored") as show:
            async with CommittedOffsets(kafka, SERVICE, TOPUPS) as committed:
                drained = await drain(committed, len(events), worker, show)
            stored = await connection.fetchval(queries.count_stored, [event.topup_id for event in events])
            if stored != len(events):
                raise Stalled(f"{stored:,} of {len(events):,} topups are stored, though all are committed")
        yield Underway(drained, worker, connection, kafka)


async def _publish(kafka: KafkaSettings, events: Sequence[TopupEvent]) -> None:
    publisher = Publisher(kafka, "bench")
    await publisher.start()
    try:
        await publisher.publish_all(encoded(events))
    finally:
        await publisher.stop()
