"""`offers bench …`: how fast a service is, measured beside its peer and its limit on servers of its own."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import orjson
import typer
import uvloop
from rich.table import Table

from deploy.cli.options import Json
from deploy.cli.rendering import console
from deploy.cli.up import EXIT_INTERRUPTED
from deploy.embedded.stack import KafkaKind

if TYPE_CHECKING:
    from deploy.bench.segmenter.report import Report

T = TypeVar("T")
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

app = typer.Typer(
    name="bench",
    help="Measure a service beside its peer and its limit, on servers started for it alone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Kafka = Annotated[KafkaKind, typer.Option(help="The broker: from a wheel, or Apache Kafka (Java 17, Maven).")]
Rounds = Annotated[int, typer.Option(help="How often everything is measured in turn.", min=1, max=100)]


@app.callback()
def bench() -> None:
    """Measure a service beside its peer and its limit, on servers started for it alone."""


@app.command()
def segmenter(
    json_output: Json = False,
    kafka: Kafka = KafkaKind.embedded,
    rounds: Rounds = 3,
    users: Annotated[int, typer.Option(help="Users, with ten transactions each on average.", min=10)] = 100_000,
    offers: Annotated[int, typer.Option(help="Offers, with two rules each.", min=1, max=10_000)] = 100,
    topups: Annotated[int, typer.Option(help="Topups worked off in a round, by each side.", min=1)] = 30_000,
    events: Annotated[int, typer.Option(help="Paced events measured in a round.", min=1)] = 2_000,
    recompute_offers: Annotated[
        int, typer.Option(help="Offers recomputed from nothing, in all rounds together; the time is scaled.", min=1)
    ] = 3,
) -> None:
    """Topups into memberships: beside storing alone, and beside recomputing every segment.

    Exit 1 if a membership checked afterwards is wrong.
    """
    from deploy.bench.segmenter.measure import measure
    from deploy.bench.segmenter.options import Options
    from deploy.bench.steps import Steps

    options = Options(kafka, users, offers, topups, events, rounds, min(recompute_offers, offers))
    if options.users_needed > users:
        raise typer.BadParameter(f"{options.users_needed:,} users are needed for so many events", param_hint="--users")
    report = _run(measure(options, Steps()))
    if json_output:
        typer.echo(orjson.dumps(report.as_json()))
    else:
        _show(report)
    if report.disagreements:
        raise typer.Exit(1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; the first Ctrl-C or SIGTERM stops and removes everything, further ones are ignored."""
    try:
        return uvloop.run(_interruptible(work))
    except asyncio.CancelledError:
        raise typer.Exit(EXIT_INTERRUPTED) from None


async def _interruptible(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(work)
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, interrupt)
    try:
        return await task
    finally:
        # All is stopped; a late Ctrl-C must not turn the exit code into a death by signal.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)


def _show(report: "Report") -> None:
    table = Table(show_header=False, box=None)
    table.add_column(justify="right", style="bold")
    table.add_column()
    for figure, meaning in (
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
    ):
        table.add_row(figure, meaning)
    console.print(table)
    console.print(
        f"[dim]{report.users:,} users, {report.history_rows:,} transactions, {report.offers:,} offers, "
        f"{report.members:,} members; {report.rounds} rounds; PostgreSQL {report.postgres_version}, "
        f"{report.broker}, {report.cpus} CPUs[/]"
    )
