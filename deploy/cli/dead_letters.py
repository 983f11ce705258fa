"""`offers dlq list` and `offers dlq replay`: look at dead letters, and send them again."""

import asyncio
import signal
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from deploy.cli.interruption import EXIT_INTERRUPTED
from deploy.cli.operations import ServiceName
from deploy.cli.options import Json
from deploy.cli.rendering import console, moment
from shared.settings import KafkaSettings, load_settings

if TYPE_CHECKING:
    from deploy.dead_letters import DeadLetter, Listing, Wanted
    from deploy.dead_letters.replaying import Progress as Told

VALUE_CHARS_SHOWN = 120
NOT_UTF8 = "base64:"

app = typer.Typer(
    name="dlq", help="Look at dead letters; send them again.", no_args_is_help=True, pretty_exceptions_enable=False
)


def instant(text: str) -> datetime:
    """A time as ISO 8601 writes it; without an offset it is UTC.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-11-25T08:00:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


Topic = Annotated[str, typer.Argument(help="The topic they came from, such as topups.", show_default=False)]
Partition = Annotated[
    int | None, typer.Option(help="Only of this partition of the dead-letter topic.", min=0, show_default=False)
]
Service = Annotated[ServiceName | None, typer.Option(help="Only what this service gave up.", show_default=False)]
Error = Annotated[str | None, typer.Option(help="Only with this in the error, in any case.", show_default=False)]
Key = Annotated[str | None, typer.Option(help="Only with this key, written as `list` shows it.", show_default=False)]
Since = Annotated[
    datetime | None,
    typer.Option(help="Only what died then or later.", parser=instant, metavar="TIME", show_default=False),
]
Until = Annotated[
    datetime | None,
    typer.Option(help="Only what died before then.", parser=instant, metavar="TIME", show_default=False),
]


@app.command("list")
def list_(
    topic: Topic,
    partition: Partition = None,
    service: Service = None,
    error: Error = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    replayed_too: Annotated[bool, typer.Option("--all", help="Show those already replayed, too.")] = False,
    limit: Annotated[int, typer.Option(help="Show so many at most.", min=1)] = 100,
    json_output: Json = False,
) -> None:
    """Show the dead letters that wait to be replayed."""
    from deploy.dead_letters import list_dead_letters

    wanted = _wanted(partition, service, error, key, since, until)
    with _bar("reading") as told:
        found = list_dead_letters(
            load_settings(KafkaSettings), topic, wanted, replayed_too=replayed_too, limit=limit, progress=told
        )
        listing = asyncio.run(found)
    if json_output:
        typer.echo(orjson.dumps(_as_json(topic, listing)))
    else:
        _show(topic, listing, replayed_too)


@app.command()
def replay(
    topic: Topic,
    partition: Partition = None,
    service: Service = None,
    error: Error = None,
    key: Key = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; say how many would be sent.")] = False,
    json_output: Json = False,
) -> None:
    """Send the waiting dead letters to their topic again, each once; after an interruption, the rest."""
    from deploy.dead_letters import list_dead_letters, replay_dead_letters

    settings = load_settings(KafkaSettings)
    wanted = _wanted(partition, service, error, key, since, until)
    with _bar("looking" if dry_run else "replaying") as told:
        if dry_run:
            count = asyncio.run(list_dead_letters(settings, topic, wanted, limit=1, progress=told)).total
        else:
            count = _run_until_stopped(replay_dead_letters(settings, topic, wanted, progress=told))
    if json_output:
        typer.echo(orjson.dumps({"topic": topic, "would_replay" if dry_run else "replayed": count}))
    else:
        console.print(f"{count:,} " + (f"would be sent to {topic} again" if dry_run else f"sent to {topic} again"))


def _run_until_stopped(work: Coroutine[Any, Any, int]) -> int:
    """Run a replay; Ctrl-C or SIGTERM ends it once what is being sent is noted."""

    async def stoppable() -> int:
        task = asyncio.current_task()
        assert task is not None
        if threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(stoppable())
    except (KeyboardInterrupt, asyncio.CancelledError):
        typer.echo("interrupted: the same command sends the rest", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def _wanted(
    partition: int | None,
    service: ServiceName | None,
    error: str | None,
    key: str | None,
    since: datetime | None,
    until: datetime | None,
) -> "Wanted":
    from deploy.dead_letters import Wanted

    if since is not None and until is not None and until <= since:
        raise typer.BadParameter(f"--until {moment(until)} must be after --since {moment(since)}")
    return Wanted(
        partition=partition,
        service=None if service is None else service.value,
        error=error,
        key=None if key is None else _bytes(key),
        since=since,
        until=until,
    )


@contextmanager
def _bar(description: str) -> "Iterator[Told]":
    """A bar for a person who waits; it leaves no trace, and standard output to the result."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _as_json(topic: str, listing: "Listing") -> dict[str, Any]:
    return {
        "topic": topic,
        "total": listing.total,
        "messages": [
            {
                "partition": letter.partition,
                "offset": letter.offset,
                "timestamp_ms": letter.timestamp_ms,
                "key": _text(letter.key),
                "value": _text(letter.value),
                "headers": [[name, _text(value)] for name, value in letter.headers],
                "error": letter.about("error"),
                "service": letter.about("service"),
                "replays": letter.replays,
            }
            for letter in listing.letters
        ],
    }


def _text(data: bytes | None) -> str | None:
    """Bytes as text; what isn't UTF-8 as `base64:…`."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return NOT_UTF8 + b64encode(data).decode()


def _bytes(text: str) -> bytes:
    """What _text wrote, as bytes again."""
    if not text.startswith(NOT_UTF8):
        return text.encode()
    try:
        return b64decode(text.removeprefix(NOT_UTF8), validate=True)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not base64 after its colon") from None


def _show(topic: str, listing: "Listing", replayed_too: bool) -> None:
    if not listing.letters:
        console.print(f"{topic} has no dead letters" + ("" if replayed_too else " waiting"))
        return
    table = Table("place", "since", "service", "replays", box=None, header_style="dim")
    for column in ("key", "error", "value"):
        table.add_column(column, overflow="fold")
    for letter in listing.letters:
        table.add_row(*_cells(letter))
    console.print(table)
    if listing.total > len(listing.letters):
        console.print(f"… {listing.total - len(listing.letters):,} more (--limit shows more)")


def _cells(letter: "DeadLetter") -> list[Text]:
    value = _text(letter.value) or ""
    cells = [
        f"{letter.partition}/{letter.offset}",
        moment(letter.died_at),
        letter.about("service"),
        str(letter.replays or ""),
        _text(letter.key) or "",
        letter.about("error"),
        value if len(value) <= VALUE_CHARS_SHOWN else value[:VALUE_CHARS_SHOWN] + "…",
    ]
    return [Text(cell) for cell in cells]
