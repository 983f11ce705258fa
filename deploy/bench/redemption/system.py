"""The system: one `offers run redemption`, from request topic to reply topic, in a database of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from deploy.bench.backlog import Drained
from deploy.bench.draining import Job, Underway, worker_drained
from deploy.bench.pacing import Latencies
from deploy.bench.redemption.copying import RowBatch, read_rows
from deploy.bench.redemption.counting import Counts
from deploy.bench.redemption.options import Options
from deploy.bench.redemption.preparing import Prepared, own_database, queries
from deploy.bench.redemption.replies import count_accepted, messages, reply_latencies
from deploy.bench.servers import Servers, database
from deploy.bench.steps import Steps
from deploy.bench.workers import service_argv
from shared.database import Connection
from shared.events.redemption_requests import RedeemRequest
from shared.topics import REDEMPTION_REQUESTS

SERVICE: Final = "redemption"


@dataclass(frozen=True, slots=True)
class HotRun:
    """Requests for one offer: worked off, and then at a steady pace; `rows` are what the former left."""

    drained: Drained
    batch_records: float
    paced: Latencies
    rows: Sequence[RowBatch]
    counts: Counts


@dataclass(frozen=True, slots=True)
class SpreadRun:
    """Requests for many offers, worked off."""

    drained: Drained
    batch_records: float
    counts: Counts


class System:
    """Runs the worker on requests of the prepared campaign."""

    def __init__(self, servers: Servers, options: Options, prepared: Prepared, steps: Steps) -> None:
        self._servers = servers
        self._options = options
        self._campaign = prepared.campaign
        self._steps = steps

    async def hot(self, number: int) -> HotRun:
        """Round `number`: a backlog for the hot offer, then paced requests for it by the same worker.

        Raises:
            ServerError: the worker ended.
            Stalled: requests or replies are missing.
        """
        requests = self._campaign.hot_requests(self._options.requests)
        paced = self._campaign.hot_requests(self._options.warm_up_events + self._options.events)
        async with self._drained(f"{number}.hot", requests) as (underway, connection):
            batch_records = await _batch_records(connection, requests)
            rows = await read_rows(connection, len(requests), self._options.batch_records_max)
            await underway.worker.until_ready()
            with self._steps.step(f"round {number}: {len(paced):,} requests sent, replies seen"):
                latencies = await reply_latencies(underway.kafka, paced, self._options.warm_up_events)
            counts = await self._counts(underway, connection, requests + paced)
            return HotRun(underway.drained, batch_records, latencies, rows, counts)

    async def spread(self, number: int) -> SpreadRun:
        """Round `number`: a backlog for all other offers; raises as `hot` does."""
        requests = self._campaign.spread_requests(self._options.requests)
        async with self._drained(f"{number}.spread", requests) as (underway, connection):
            batch_records = await _batch_records(connection, requests)
            counts = await self._counts(underway, connection, requests)
            return SpreadRun(underway.drained, batch_records, counts)

    @asynccontextmanager
    async def _drained(self, run: str, requests: Sequence[RedeemRequest]) -> AsyncIterator[tuple[Underway, Connection]]:
        kafka = self._servers.kafka_for(run)
        outgoing = messages(kafka, requests, kafka.kafka_partitions)
        async with own_database(self._servers) as url:
            job = Job(run, service_argv(SERVICE), url, SERVICE, REDEMPTION_REQUESTS)
            async with (
                worker_drained(self._servers, job, outgoing, self._steps, "requests answered") as underway,
                database(url) as connection,
            ):
                yield underway, connection

    async def _counts(self, underway: Underway, connection: Connection, requests: Sequence[RedeemRequest]) -> Counts:
        accepted = await count_accepted(underway.kafka, requests)
        return await Counts.of_database(connection, len(requests), accepted, decided=True)


async def _batch_records(connection: Connection, requests: Sequence[RedeemRequest]) -> float:
    """How many requests a transaction of the worker decided, on average."""
    batches: int = await connection.fetchval(queries.count_batches)
    return len(requests) / max(1, batches)
