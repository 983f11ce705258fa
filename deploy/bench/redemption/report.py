"""What redemption's benchmark prints: medians over the rounds, and ratios taken within a round."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from deploy.bench.figures import rounded
from deploy.bench.pacing import EVENTS_PER_S
from deploy.bench.redemption.counting import Counts
from deploy.bench.redemption.options import SEED_CONNECTIONS, Options
from deploy.bench.redemption.preparing import Prepared
from deploy.bench.redemption.rounds import Round


@dataclass(frozen=True, slots=True)
class Report:
    """The JSON object, field by field.

    `seed_*`: the design's transaction, one for each request; `system_*`: request topic to reply topic;
    both for one offer (hot) and for `offers` (spread). `copy_limit_per_s`: a bare COPY of the rows of the
    system's hot requests, `batch_records_max` requests a transaction. `ratio_hot` and `ratio_spread`:
    system ÷ seed; `ratio_limit`: system hot ÷ COPY. `reply_*`: hot requests due to reply read, at
    `paced_per_s`, by a worker with nothing else to do; `replies_per_s`: the rate kept; `echo_*`: the same
    messages through a bare echo; `ratio_latency`: the median reply ÷ the median echo.
    `batch_records_*_mean`: requests that a transaction of the system decided. `system_counts` and
    `seed_counts`: what became of all requests of all rounds; `exact`: whether each was accepted, stored
    and counted once.
    """

    seed_hot_per_s: float
    system_hot_per_s: float
    ratio_hot: float
    seed_spread_per_s: float
    system_spread_per_s: float
    ratio_spread: float
    copy_limit_per_s: float
    ratio_limit: float
    reply_p50_ms: float
    reply_p99_ms: float
    reply_max_ms: float
    replies_per_s: float
    echo_p50_ms: float
    echo_p99_ms: float
    ratio_latency: float
    worker_rss_mb_max: float
    batch_records_max: int
    batch_records_hot_mean: float
    batch_records_spread_mean: float
    exact: bool
    system_counts: Counts
    seed_counts: Counts
    users: int
    offers: int
    members: int
    per_user_limit: int
    requests: int
    seed_requests: int
    seed_connections: int
    events: int
    paced_per_s: int
    rounds: int
    per_round: dict[str, list[float]]
    postgres_version: str
    broker: str
    cpus: int

    def as_json(self) -> dict[str, Any]:
        """The fields by name, numbers rounded."""
        return {"benchmark": "redemption"} | {name: rounded(value) for name, value in asdict(self).items()}


FIGURES: dict[str, Callable[[Round], float]] = {
    "seed_hot_per_s": lambda each: each.seed_hot.per_s,
    "system_hot_per_s": lambda each: each.hot.drained.per_s,
    "ratio_hot": lambda each: each.hot.drained.per_s / each.seed_hot.per_s,
    "seed_spread_per_s": lambda each: each.seed_spread.per_s,
    "system_spread_per_s": lambda each: each.spread.drained.per_s,
    "ratio_spread": lambda each: each.spread.drained.per_s / each.seed_spread.per_s,
    "copy_limit_per_s": lambda each: each.copy_per_s,
    "ratio_limit": lambda each: each.hot.drained.per_s / each.copy_per_s,
    "reply_p50_ms": lambda each: each.hot.paced.p50_ms,
    "reply_p99_ms": lambda each: each.hot.paced.p99_ms,
    "replies_per_s": lambda each: each.hot.paced.per_s,
    "echo_p50_ms": lambda each: each.echo.p50_ms,
    "echo_p99_ms": lambda each: each.echo.p99_ms,
    "ratio_latency": lambda each: each.hot.paced.p50_ms / each.echo.p50_ms,
    "batch_records_hot_mean": lambda each: each.hot.batch_records,
    "batch_records_spread_mean": lambda each: each.spread.batch_records,
}
"""What is measured in each round, and reported as the median of all."""


def summarise(options: Options, prepared: Prepared, broker: str, rounds: Sequence[Round]) -> Report:
    """The report of all rounds."""
    per_round = {name: [figure(each) for each in rounds] for name, figure in FIGURES.items()}
    medians: dict[str, Any] = {name: median(values) for name, values in per_round.items()}
    system = [counts for each in rounds for counts in (each.hot.counts, each.spread.counts)]
    seed = [counts for each in rounds for counts in (each.seed_hot.counts, each.seed_spread.counts)]
    return Report(
        **medians,
        reply_max_ms=max(each.hot.paced.max_ms for each in rounds),
        worker_rss_mb_max=max(max(each.hot.drained.rss_mb_max, each.spread.drained.rss_mb_max) for each in rounds),
        batch_records_max=options.batch_records_max,
        exact=all(counts.exact for counts in system + seed),
        system_counts=Counts.total(system),
        seed_counts=Counts.total(seed),
        users=options.users,
        offers=options.offers,
        members=prepared.members,
        per_user_limit=options.per_user_limit,
        requests=options.requests,
        seed_requests=options.seed_requests,
        seed_connections=SEED_CONNECTIONS,
        events=options.events,
        paced_per_s=EVENTS_PER_S,
        rounds=options.rounds,
        per_round=per_round,
        postgres_version=prepared.postgres_version,
        broker=broker,
        cpus=os.cpu_count() or 1,
    )
