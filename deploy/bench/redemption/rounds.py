"""One round: the design's transaction, the system, a bare COPY and a bare echo, one after the other."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deploy.bench.pacing import Latencies
from deploy.bench.redemption.copying import RowBatch, copy_rate
from deploy.bench.redemption.counting import Counts
from deploy.bench.redemption.options import SEED_WARM_UP, Options
from deploy.bench.redemption.preparing import Prepared, own_database
from deploy.bench.redemption.replies import reply_latencies
from deploy.bench.redemption.seed import seed_rate
from deploy.bench.redemption.system import HotRun, SpreadRun, System
from deploy.bench.servers import Servers, database
from deploy.bench.steps import Steps
from deploy.bench.workers import running_worker
from shared.events.redemption_requests import RedeemRequest
from shared.topics import REDEMPTION_REPLIES, REDEMPTION_REQUESTS, create_topics

ECHO: Final = (sys.executable, "-m", "deploy.bench.redemption.echo")


@dataclass(frozen=True, slots=True)
class SeedRun:
    """Requests a second through the design's transaction, and what became of them."""

    per_s: float
    counts: Counts


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of one round."""

    seed_hot: SeedRun
    seed_spread: SeedRun
    hot: HotRun
    spread: SpreadRun
    copy_per_s: float
    echo: Latencies


class Rounds:
    """Runs rounds on prepared servers."""

    def __init__(self, servers: Servers, options: Options, prepared: Prepared, steps: Steps) -> None:
        self._servers = servers
        self._options = options
        self._campaign = prepared.campaign
        self._steps = steps
        self._system = System(servers, options, prepared, steps)

    async def run(self, number: int) -> Round:
        """Run round `number`, from 1; the peer goes first in every other one, as the echo does.

        Raises:
            Stalled: requests or replies are missing.
            ServerError: a worker ended.
        """
        if number % 2:
            seed_hot, seed_spread = await self._seed(number)
            hot, spread = await self._system.hot(number), await self._system.spread(number)
            echo = await self._echo(number)
        else:
            echo = await self._echo(number)
            hot, spread = await self._system.hot(number), await self._system.spread(number)
            seed_hot, seed_spread = await self._seed(number)
        return Round(seed_hot, seed_spread, hot, spread, await self._copy(number, hot.rows), echo)

    async def _seed(self, number: int) -> tuple[SeedRun, SeedRun]:
        count = SEED_WARM_UP + self._options.seed_requests
        hot = await self._seed_run(f"{number}.seed hot", self._campaign.hot_requests(count))
        return hot, await self._seed_run(f"{number}.seed spread", self._campaign.spread_requests(count))

    async def _seed_run(self, run: str, requests: Sequence[RedeemRequest]) -> SeedRun:
        async with own_database(self._servers) as url:
            with self._steps.step(f"round {run}: {len(requests):,} transactions"):
                per_s, accepted = await seed_rate(url, requests)
            async with database(url) as connection:
                return SeedRun(per_s, await Counts.of_database(connection, len(requests), accepted, decided=False))

    async def _copy(self, number: int, batches: Sequence[RowBatch]) -> float:
        async with own_database(self._servers) as url, database(url) as connection:
            with self._steps.step(f"round {number}: the rows of {self._options.requests:,} requests copied"):
                return await copy_rate(connection, batches)

    async def _echo(self, number: int) -> Latencies:
        run, warm_up = f"{number}.echo", self._options.warm_up_events
        requests = self._campaign.hot_requests(warm_up + self._options.events)
        kafka = self._servers.kafka_for(run)
        await create_topics(kafka, (REDEMPTION_REQUESTS, REDEMPTION_REPLIES))
        async with running_worker(self._servers, run, ECHO, self._servers.database_url, kafka) as worker:
            await worker.until_ready()
            with self._steps.step(f"round {number}: {len(requests):,} requests sent, echoes seen"):
                return await reply_latencies(kafka, requests, warm_up)
