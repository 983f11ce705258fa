"""`offers bench …`: how fast a service is, measured beside its peer and its limit on servers of its own."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import orjson
import typer
import uvloop

from deploy.cli.figures import show_audit, show_redemption, show_segmenter
from deploy.cli.interruption import EXIT_INTERRUPTED, interruptible
from deploy.cli.options import Json
from deploy.embedded.options import KafkaKind

T = TypeVar("T")

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
        show_segmenter(report)
    if report.disagreements:
        raise typer.Exit(1)


@app.command()
def redemption(
    json_output: Json = False,
    kafka: Kafka = KafkaKind.embedded,
    rounds: Rounds = 3,
    users: Annotated[int, typer.Option(help="Users, with ten transactions each.", min=1)] = 20_000,
    offers: Annotated[int, typer.Option(help="Offers that the spread requests are for.", min=1, max=100_000)] = 1_000,
    requests: Annotated[
        int, typer.Option(help="Requests worked off in a round, for one offer and for all.", min=5)
    ] = 40_000,
    events: Annotated[int, typer.Option(help="Paced requests measured in a round.", min=1)] = 1_500,
) -> None:
    """Redemption requests into replies: beside the design's transaction, a bare COPY, and a bare echo.

    Exit 1 if requests, replies, stored rows and counts disagree afterwards.
    """
    from deploy.bench.redemption.measure import measure
    from deploy.bench.redemption.options import Options
    from deploy.bench.steps import Steps

    report = _run(measure(Options(kafka, users, offers, requests, events, rounds), Steps()))
    if json_output:
        typer.echo(orjson.dumps(report.as_json()))
    else:
        show_redemption(report)
    if not report.exact:
        raise typer.Exit(1)


@app.command()
def audit(
    json_output: Json = False,
    kafka: Kafka = KafkaKind.embedded,
    rounds: Rounds = 3,
    events: Annotated[int, typer.Option(help="Events worked off in a round.", min=1)] = 60_000,
) -> None:
    """Audit events into chained rows: beside a bare COPY of the same rows.

    Exit 1 if a chain does not hold afterwards.
    """
    from deploy.bench.audit.measure import measure
    from deploy.bench.audit.options import Options
    from deploy.bench.steps import Steps

    report = _run(measure(Options(kafka, events, rounds), Steps()))
    if json_output:
        typer.echo(orjson.dumps(report.as_json()))
    else:
        show_audit(report)
    if report.broken:
        raise typer.Exit(1)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; the first Ctrl-C or SIGTERM stops and removes everything, further ones are ignored."""
    try:
        return uvloop.run(interruptible(work))
    except asyncio.CancelledError:
        raise typer.Exit(EXIT_INTERRUPTED) from None
