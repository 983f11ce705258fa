"""`offers up`: the whole system on this machine, in the foreground."""

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.interruption import EXIT_INTERRUPTED, interruptible
from deploy.cli.rendering import console
from deploy.embedded.options import KafkaKind, StackOptions
from shared.errors import OffersError


def up(
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Keep data and logs here.", show_default="a temporary folder, removed at the end"),
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Written as JSON once everything answers.", show_default=False)
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="Load the sample campaign and play it.")] = False,
    exit_after: Annotated[bool, typer.Option("--exit", help="End once up, and the sample is played.")] = False,
    workers: Annotated[int, typer.Option(help="Processes of redemption and of segmenter, each.", min=1, max=64)] = 1,
    kafka: Annotated[
        KafkaKind, typer.Option(help="The broker: from a wheel, or Apache Kafka (Java 17, Maven).")
    ] = KafkaKind.embedded,
) -> None:
    """Start everything on this machine: PostgreSQL, Redis, Kafka and the services, until Ctrl-C."""
    options = StackOptions(data_dir=data_dir, ready_file=ready_file, workers=workers, kafka=kafka)
    raise typer.Exit(asyncio.run(_interruptible(options, sample, exit_after)))


async def _interruptible(options: StackOptions, sample: bool, exit_after: bool) -> int:
    try:
        return await interruptible(_up(options, sample, exit_after), _say_it_is_stopping)
    except asyncio.CancelledError:
        return EXIT_INTERRUPTED


def _say_it_is_stopping() -> None:
    console.print("stopping already; every step of it is bounded")


async def _up(options: StackOptions, sample: bool, exit_after: bool) -> int:
    from deploy.embedded.stack import Stack  # An image has no servers inside, and no need of this.

    async with Stack(options, console) as stack:
        if sample:
            from deploy.sample.play import play
            from deploy.sample.system import System

            at = stack.addresses
            if not await play(System(at.database_url, at.kafka, at.admin_url, at.admin_token), console):
                raise OffersError("the sample campaign did not go as it should: see the checks above")
        if exit_after:
            return 0
        console.print("Press Ctrl-C to stop.")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return 0
