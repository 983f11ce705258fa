"""What the audit service's benchmark prints: medians over the rounds, and ratios taken within a round."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from deploy.bench.audit.options import Options
from deploy.bench.backlog import Drained
from deploy.bench.figures import rounded


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of one round; `batches` is how many transactions the worker stored its rows in."""

    drained: Drained
    batches: int
    broken: int
    copy_limit_per_s: float
    postgres_version: str


@dataclass(frozen=True, slots=True)
class Report:
    """The JSON object, field by field.

    `events_per_s`: from topic to chained rows, one worker; `copy_limit_per_s`: the same rows by COPY alone into a
    table like a month of the log; `ratio_limit`: the first ÷ the second. `batch_records_mean`: events in a
    transaction. `broken`: places where a chain does not hold afterwards.
    """

    events_per_s: float
    copy_limit_per_s: float
    ratio_limit: float
    batch_records_mean: float
    batch_records_max: int
    worker_rss_mb_max: float
    broken: int
    events: int
    rounds: int
    events_per_s_rounds: list[float]
    copy_limit_per_s_rounds: list[float]
    postgres_version: str
    broker: str
    cpus: int

    def as_json(self) -> dict[str, Any]:
        """The fields by name, numbers rounded."""
        return {"benchmark": "audit"} | {name: rounded(value) for name, value in asdict(self).items()}


def summarise(options: Options, broker: str, rounds: Sequence[Round]) -> Report:
    """The report of all rounds."""
    events_per_s = [each.drained.per_s for each in rounds]
    limits = [each.copy_limit_per_s for each in rounds]
    return Report(
        events_per_s=median(events_per_s),
        copy_limit_per_s=median(limits),
        ratio_limit=median(system / limit for system, limit in zip(events_per_s, limits, strict=True)),
        batch_records_mean=median(options.events / each.batches for each in rounds),
        batch_records_max=options.batch_records_max,
        worker_rss_mb_max=max(each.drained.rss_mb_max for each in rounds),
        broken=sum(each.broken for each in rounds),
        events=options.events,
        rounds=options.rounds,
        events_per_s_rounds=events_per_s,
        copy_limit_per_s_rounds=limits,
        postgres_version=rounds[0].postgres_version,
        broker=broker,
        cpus=os.cpu_count() or 1,
    )
