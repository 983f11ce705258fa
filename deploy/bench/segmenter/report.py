"""What the segmenter's benchmark prints: medians over the rounds, and ratios taken within a round."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from deploy.bench.figures import rounded
from deploy.bench.segmenter.options import Options
from deploy.bench.segmenter.preparing import Prepared
from deploy.bench.segmenter.rounds import PAIRS_CHECKED, Round


@dataclass(frozen=True, slots=True)
class Report:
    """The JSON object, field by field.

    `topups_per_s`: topic to membership; `ingest_per_s`: the same service storing only; `ratio_ingest`:
    the first ÷ the second. `full_recompute_s`: the design's cron for all offers, scaled from the
    `full_recompute_offers_measured`; `recompute_ratio`: how many topups are worked off in that time.
    `visible_*`: event due to membership readable, at 200 events a second; `visible_events_per_s`: the
    rate kept. `entries_per_topup`: members that a topup adds; `announced_after_s`: how long after the last
    topup was stored the last segments.changed event was sent.
    """

    topups_per_s: float
    ingest_per_s: float
    ratio_ingest: float
    full_recompute_s: float
    full_recompute_offers_measured: int
    recompute_ratio: float
    visible_p50_ms: float
    visible_p99_ms: float
    visible_max_ms: float
    visible_events_per_s: float
    rebuild_s: float
    rebuild_users_per_s: float
    worker_rss_mb_max: float
    entries_per_topup: float
    announced_after_s: float
    disagreements: int
    pairs_checked: int
    users: int
    offers: int
    members: int
    history_rows: int
    topups: int
    events: int
    rounds: int
    topups_per_s_rounds: list[float]
    ingest_per_s_rounds: list[float]
    postgres_version: str
    broker: str
    cpus: int

    def as_json(self) -> dict[str, Any]:
        """The fields by name, numbers rounded."""
        return {"benchmark": "segmenter"} | {name: rounded(value) for name, value in asdict(self).items()}


def summarise(options: Options, prepared: Prepared, broker: str, rounds: Sequence[Round]) -> Report:
    """The report of all rounds."""
    topups_per_s = [each.segmenter.drained.per_s for each in rounds]
    ingest_per_s = [each.ingest.per_s for each in rounds]
    recompute_s = sum(each.recompute_s for each in rounds) / options.recompute_offers * options.offers
    visible = [each.segmenter.visible for each in rounds]
    return Report(
        topups_per_s=median(topups_per_s),
        ingest_per_s=median(ingest_per_s),
        ratio_ingest=median(system / limit for system, limit in zip(topups_per_s, ingest_per_s, strict=True)),
        full_recompute_s=recompute_s,
        full_recompute_offers_measured=options.recompute_offers,
        recompute_ratio=recompute_s * median(topups_per_s),
        visible_p50_ms=median(each.p50_ms for each in visible),
        visible_p99_ms=median(each.p99_ms for each in visible),
        visible_max_ms=max(each.max_ms for each in visible),
        visible_events_per_s=median(each.per_s for each in visible),
        rebuild_s=prepared.rebuild_s,
        rebuild_users_per_s=options.users / prepared.rebuild_s,
        worker_rss_mb_max=max(each.segmenter.drained.rss_mb_max for each in rounds),
        entries_per_topup=median(each.segmenter.entries / options.topups for each in rounds),
        announced_after_s=median(each.segmenter.announced_s for each in rounds),
        disagreements=sum(each.segmenter.disagreements for each in rounds),
        pairs_checked=PAIRS_CHECKED * len(rounds),
        users=options.users,
        offers=options.offers,
        members=prepared.members,
        history_rows=prepared.history_rows,
        topups=options.topups,
        events=options.events,
        rounds=options.rounds,
        topups_per_s_rounds=topups_per_s,
        ingest_per_s_rounds=ingest_per_s,
        postgres_version=prepared.postgres_version,
        broker=broker,
        cpus=os.cpu_count() or 1,
    )
