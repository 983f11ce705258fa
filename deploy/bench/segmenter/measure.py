"""The whole benchmark: servers, state, rounds, report."""

from deploy.bench.segmenter.options import Options
from deploy.bench.segmenter.preparing import prepare
from deploy.bench.segmenter.recompute import evenly_drawn, prepare_recompute
from deploy.bench.segmenter.report import Report, summarise
from deploy.bench.segmenter.rounds import Rounds
from deploy.bench.servers import database, running_servers
from deploy.bench.steps import Steps


async def measure(options: Options, steps: Steps) -> Report:
    """Measure from start to end; everything it started is gone when it returns or raises.

    Raises:
        OffersError: a server can't start, a worker ended, or something did not arrive.
    """
    async with running_servers(options.kafka, steps) as servers:
        prepared = await prepare(servers, options, steps)
        recomputed = evenly_drawn(prepared.offer_ids, options.recompute_offers)
        async with database(servers.database_url) as connection:
            await prepare_recompute(connection, recomputed)
        rounds = Rounds(servers, options, prepared, steps)
        measured = [
            await rounds.run(number, recomputed[number - 1 :: options.rounds])
            for number in range(1, options.rounds + 1)
        ]
        return summarise(options, prepared, servers.broker, measured)
