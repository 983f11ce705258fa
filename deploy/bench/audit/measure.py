"""The whole benchmark: servers, rounds, report."""

from dataclasses import dataclass
from typing import Final

from deploy.bench.audit.copying import copy_rate, queries, read_rows
from deploy.bench.audit.events import invent_events
from deploy.bench.audit.options import Options
from deploy.bench.audit.report import Report, Round, summarise
from deploy.bench.backlog import Drained, Stalled
from deploy.bench.draining import Job, worker_drained
from deploy.bench.redemption.preparing import own_database
from deploy.bench.servers import Servers, database, running_servers
from deploy.bench.steps import Steps
from deploy.bench.workers import service_argv
from services.audit.verification import verify_chains
from shared.clock import utc_now
from shared.database import Connection
from shared.topics import AUDIT_EVENTS

SERVICE: Final = "audit"


async def measure(options: Options, steps: Steps) -> Report:
    """Measure from start to end; everything it started is gone when it returns or raises.

    Raises:
        OffersError: a server can't start, the worker ended, or an event did not arrive.
    """
    async with running_servers(options.kafka, steps) as servers:
        rounds = [await _Rounds(servers, options, steps).run(number) for number in range(1, options.rounds + 1)]
        return summarise(options, servers.broker, rounds)


@dataclass(frozen=True, slots=True)
class _Rounds:
    servers: Servers
    options: Options
    steps: Steps

    async def run(self, number: int) -> Round:
        """Round `number`: a backlog for the worker, then its rows by COPY, in a database of their own."""
        outgoing = invent_events(self.options.events, number, utc_now())
        async with own_database(self.servers) as url:
            job = Job(f"{number}.audit", service_argv(SERVICE), url, SERVICE, AUDIT_EVENTS)
            async with worker_drained(self.servers, job, outgoing, self.steps, "events stored") as underway:
                drained = underway.drained
            async with database(url) as connection:
                return await self._finish(number, connection, drained)

    async def _finish(self, number: int, connection: Connection, drained: Drained) -> Round:
        stored = await connection.fetchrow(queries.stored)
        assert stored is not None, "an aggregate always has a row"
        if stored["events"] != self.options.events:
            raise Stalled(
                f"{stored['events']:,} of {self.options.events:,} events are stored, though all are committed"
            )
        with self.steps.step(f"round {number}: chains verified"):
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                verified = await verify_chains(connection)
        with self.steps.step(f"round {number}: the same rows by COPY"):
            batches = await read_rows(connection, self.options.events, self.options.batch_records_max)
            limit = await copy_rate(connection, batches)
        return Round(drained, stored["batches"], verified.broken_total, limit, stored["postgres_version"])
