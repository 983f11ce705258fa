"""Benchmarks' figures as a person reads them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table

from deploy.cli.rendering import console

if TYPE_CHECKING:
    from deploy.bench.audit.report import Report as AuditReport
    from deploy.bench.redemption.report import Report as RedemptionReport
    from deploy.bench.segmenter.report import Report as SegmenterReport


def show_segmenter(report: "SegmenterReport") -> None:
    """Print what the segmenter's benchmark found."""
    figures = (
        (f"{report.topups_per_s:,.0f} /s", "topups, from topic to membership"),
        (f"{report.ingest_per_s:,.0f} /s", "topups stored and nothing computed, by the same service"),
        (f"{report.ratio_ingest:.2f}", "of that limit reached"),
        (f"{report.entries_per_topup:.1f}", "memberships begun by a topup"),
        (f"{report.announced_after_s:.1f} s", "after the last topup until all of them are announced"),
        (
            f"{report.full_recompute_s:,.0f} s",
            f"to recompute every segment from nothing (scaled from {report.full_recompute_offers_measured} offers)",
        ),
        (f"{report.recompute_ratio:,.0f}", "topups worked off in that time"),
        (f"{report.visible_p50_ms:.1f} ms", "until a membership is readable, median"),
        (f"{report.visible_p99_ms:.1f} ms", f"99th percentile, at {report.visible_events_per_s:.0f} events/s"),
        (f"{report.rebuild_s:.1f} s", f"to build all memberships ({report.rebuild_users_per_s:,.0f} users/s)"),
        (f"{report.worker_rss_mb_max:.0f} MB", "held by the worker at most"),
        (f"{report.disagreements}", f"of {report.pairs_checked:,} memberships checked are wrong"),
    )
    _show(
        figures,
        f"{report.users:,} users, {report.history_rows:,} transactions, {report.offers:,} offers, "
        f"{report.members:,} members; {report.rounds} rounds; PostgreSQL {report.postgres_version}, "
        f"{report.broker}, {report.cpus} CPUs",
    )


def show_redemption(report: "RedemptionReport") -> None:
    """Print what redemption's benchmark found."""
    counts = report.system_counts
    figures = (
        (f"{report.system_hot_per_s:,.0f} /s", "requests for one hot offer, from request topic to reply topic"),
        (f"{report.seed_hot_per_s:,.0f} /s", "the same as the design's transactions, without Kafka"),
        (f"{report.ratio_hot:.1f}", "times the design"),
        (f"{report.copy_limit_per_s:,.0f} /s", "the same rows by COPY alone"),
        (f"{report.ratio_limit:.2f}", "of that limit reached"),
        (f"{report.system_spread_per_s:,.0f} /s", f"requests for {report.offers:,} offers"),
        (f"{report.seed_spread_per_s:,.0f} /s", "the same as the design's transactions"),
        (f"{report.ratio_spread:.1f}", "times the design"),
        (f"{report.reply_p50_ms:.1f} ms", "from a request to its reply, median"),
        (f"{report.reply_p99_ms:.1f} ms", f"99th percentile, at {report.replies_per_s:.0f} requests/s"),
        (f"{report.echo_p50_ms:.1f} ms", f"through a bare echo, median (99th percentile {report.echo_p99_ms:.1f} ms)"),
        (f"{report.ratio_latency:.2f}", "times the echo"),
        (f"{report.worker_rss_mb_max:.0f} MB", "held by the worker at most"),
        (
            f"{report.batch_records_hot_mean:.0f}",
            f"requests in a transaction, spread {report.batch_records_spread_mean:.0f}",
        ),
        (
            "exact" if report.exact else "[bold red]WRONG[/]",
            f"{counts.sent:,} requests, {counts.accepted:,} replies, {counts.redemptions:,} redemptions, "
            f"{counts.decisions:,} decisions, {counts.usage_counted:,} uses counted",
        ),
    )
    _show(
        figures,
        f"{report.users:,} users, {report.members:,} members, {report.requests:,} requests ({report.seed_requests:,} "
        f"for the design); {report.rounds} rounds; PostgreSQL {report.postgres_version}, {report.broker}, "
        f"{report.cpus} CPUs",
    )


def show_audit(report: "AuditReport") -> None:
    """Print what the audit service's benchmark found."""
    figures = (
        (f"{report.events_per_s:,.0f} /s", "events, from topic to chained rows"),
        (f"{report.copy_limit_per_s:,.0f} /s", "the same rows by COPY alone"),
        (f"{report.ratio_limit:.2f}", "of that limit reached"),
        (f"{report.batch_records_mean:.0f}", "events in a transaction"),
        (f"{report.worker_rss_mb_max:.0f} MB", "held by the worker at most"),
        ("[bold red]BROKEN[/]" if report.broken else "whole", f"chains, {report.broken:,} places do not hold"),
    )
    _show(
        figures,
        f"{report.events:,} events; {report.rounds} rounds; PostgreSQL {report.postgres_version}, {report.broker}, "
        f"{report.cpus} CPUs",
    )


def _show(figures: Iterable[tuple[str, str]], measured_on: str) -> None:
    table = Table(show_header=False, box=None)
    table.add_column(justify="right", style="bold")
    table.add_column()
    for figure, meaning in figures:
        table.add_row(figure, meaning)
    console.print(table)
    console.print(f"[dim]{measured_on}[/]")
