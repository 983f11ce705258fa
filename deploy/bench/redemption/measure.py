"""The whole benchmark: servers, state, rounds, report."""

from deploy.bench.redemption.options import Options
from deploy.bench.redemption.preparing import prepare
from deploy.bench.redemption.report import Report, summarise
from deploy.bench.redemption.rounds import Rounds
from deploy.bench.servers import running_servers
from deploy.bench.steps import Steps


async def measure(options: Options, steps: Steps) -> Report:
    """Measure from start to end; everything it started is gone when it returns or raises.

    Raises:
        OffersError: a server can't start, a worker ended, or something did not arrive.
    """
    async with running_servers(options.kafka, steps) as servers:
        prepared = await prepare(servers, options, steps)
        rounds = Rounds(servers, options, prepared, steps)
        measured = [await rounds.run(number) for number in range(1, options.rounds + 1)]
        return summarise(options, prepared, servers.broker, measured)
