"""`offers dlq list` and `offers dlq replay`: look at dead letters, and send them again."""

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.options import Json
from deploy.cli.rendering import console, moment
from shared.clock import from_us
from shared.settings import KafkaSettings, load_settings

if TYPE_CHECKING:
    from deploy.dead_letters import DeadLetter, Listing

VALUE_CHARS_SHOWN = 120

app = typer.Typer(
    name="dlq", help="Look at dead letters; send them again.", no_args_is_help=True, pretty_exceptions_enable=False
)

Topic = Annotated[str, typer.Argument(help="The topic they came from, such as topups.", show_default=False)]


@app.command("list")
def list_(
    topic: Topic,
    replayed_too: Annotated[bool, typer.Option("--all", help="Show those already replayed, too.")] = False,
    limit: Annotated[int, typer.Option(help="Show so many at most.", min=1)] = 100,
    json_output: Json = False,
) -> None:
    """Show the dead letters that wait to be replayed."""
    from deploy.dead_letters import list_dead_letters

    settings = load_settings(KafkaSettings)
    listing = asyncio.run(list_dead_letters(settings, topic, replayed_too=replayed_too, limit=limit))
    if json_output:
        typer.echo(orjson.dumps(_as_json(topic, listing)))
    else:
        _show(topic, listing, replayed_too)


@app.command()
def replay(topic: Topic, json_output: Json = False) -> None:
    """Send the waiting dead letters to their topic again, each once."""
    from deploy.dead_letters import replay_dead_letters

    count = asyncio.run(replay_dead_letters(load_settings(KafkaSettings), topic))
    if json_output:
        typer.echo(orjson.dumps({"topic": topic, "replayed": count}))
    else:
        console.print(f"{count:,} sent to {topic} again")


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
        return "base64:" + b64encode(data).decode()


def _show(topic: str, listing: "Listing", replayed_too: bool) -> None:
    if not listing.letters:
        console.print(f"{topic} has no dead letters" + ("" if replayed_too else " waiting"))
        return
    table = Table("place", "since", "service", box=None, header_style="dim")
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
        moment(from_us(letter.timestamp_ms * 1000)),
        letter.about("service"),
        _text(letter.key) or "",
        letter.about("error"),
        value if len(value) <= VALUE_CHARS_SHOWN else value[:VALUE_CHARS_SHOWN] + "…",
    ]
    return [Text(cell) for cell in cells]
