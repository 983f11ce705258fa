"""`offers up`: the whole system on this machine, in the foreground."""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.rendering import console
from deploy.embedded.stack import KafkaKind, Stack, StackOptions
from shared.errors import OffersError

EXIT_INTERRUPTED = 130
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    """Run until done or told to stop; the first signal stops everything in order, further ones are noted."""
    work = asyncio.create_task(_up(options, sample, exit_after))
    signals = 0

    def interrupt() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            work.cancel()
        elif signals == 2:
            console.print("stopping already; every step of it is bounded")

    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        # Not the loop's own handlers: closing the loop would put back Python's, which raise.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(interrupt))
    try:
        return await work
    except asyncio.CancelledError:
        return EXIT_INTERRUPTED
    finally:
        # All is stopped; a late Ctrl-C must not turn the exit code into a death by signal.
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


async def _up(options: StackOptions, sample: bool, exit_after: bool) -> int:
    async with Stack(options, console) as stack:
        if sample:
            from deploy.sample.play import play

            if not await play(stack.addresses, console):
                raise OffersError("the sample campaign did not go as it should: see the checks above")
        if exit_after:
            return 0
        console.print("Press Ctrl-C to stop.")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return 0
