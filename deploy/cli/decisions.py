"""`offers explain --decision`: what was decided on a request, from the database, and the same decision made again."""

import asyncio
from dataclasses import asdict, dataclass, fields
from typing import Any
from uuid import UUID

import orjson
import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.rendering import console, show_reply
from services.redemption.records import StoredDecision
from services.redemption.replay import Difference, decision_audited, definition_version, replayed
from services.redemption.replies import audit_id
from shared.database import Connection, connect
from shared.errors import OffersError
from shared.events.redemption_replies import RedemptionReply
from shared.named_ids import REDEMPTION_IDS, named_id
from shared.settings import DatabaseSettings, load_settings
from shared.sqlfile import load_queries

EXIT_DIFFERENT = 1

_queries = load_queries(__file__)


@dataclass(frozen=True, slots=True)
class Found:
    """A stored decision, the offer as it was then, and where the records and a second decision disagree.

    `differences` is None where the decision's inputs are not kept.
    """

    stored: StoredDecision
    definition: dict[str, Any] | None
    audited: bool
    differences: list[Difference] | None


def explain_decision(request_id: UUID, json_output: bool) -> None:
    """Show a decision and make it again; exit 1 if that comes out differently."""
    found = asyncio.run(_find(request_id))
    if json_output:
        typer.echo(orjson.dumps(_as_json(found)))
    else:
        _show(found)
    if found.differences:
        raise typer.Exit(EXIT_DIFFERENT)


async def _find(request_id: UUID) -> Found:
    connection = await connect(load_settings(DatabaseSettings))
    try:
        stored, event = await _stored(connection, request_id)
        definition = await _definition(connection, stored)
        event = event or await _event(connection, stored)
    finally:
        await connection.close()
    differences = None if stored.inputs is None else replayed(stored, definition) + _contradictions(stored, event)
    return Found(stored, definition, event is not None, differences)


async def _stored(connection: Connection, request_id: UUID) -> tuple[StoredDecision, dict[str, Any] | None]:
    """The decision as the redemption service keeps it, or else as the audit log tells it for ever, with its event."""
    row = await connection.fetchrow(_queries.load_decision, request_id)
    if row is not None:
        values = {column.name: row[column.name] for column in fields(StoredDecision)}
        return StoredDecision(**values | {"request": orjson.dumps(row["request"])}), None
    redemption_id = named_id(REDEMPTION_IDS, str(request_id))
    for event in await connection.fetch(_queries.find_decision_events, request_id, redemption_id):
        if event["data"]["reply"]["reason"] != "idempotency_conflict":
            return decision_audited(event["data"]), event["data"]
    raise OffersError(f"no decision on request {request_id} is kept: it was never made, or too long ago")


async def _definition(connection: Connection, stored: StoredDecision) -> dict[str, Any] | None:
    version = definition_version(stored)
    if version is None:
        return None
    definition: dict[str, Any] | None = await connection.fetchval(_queries.load_definition, stored.offer_id, version)
    return definition


async def _event(connection: Connection, stored: StoredDecision) -> dict[str, Any] | None:
    """What the audit event of the decision says; None while there is none."""
    rows = await connection.fetch(_queries.find_decision_events, stored.request_id, stored.redemption_id)
    return next((row["data"] for row in rows if row["event_id"] == audit_id(stored)), None)


def _contradictions(stored: StoredDecision, event: dict[str, Any] | None) -> list[Difference]:
    """Where the audit log, which nobody may change, remembers the decision otherwise."""
    if event is None:
        return []
    kept = {
        "request": orjson.loads(stored.request),
        "reply": orjson.loads(stored.reply),
        "inputs": orjson.loads(stored.inputs or "null"),
    }
    return [
        Difference(f"audited {name}", value, event.get(name))
        for name, value in kept.items()
        if value != event.get(name)
    ]


def _as_json(found: Found) -> dict[str, Any]:
    outcome = "not recorded" if found.differences is None else "different" if found.differences else "equal"
    return {
        "request": orjson.Fragment(found.stored.request),
        "reply": orjson.Fragment(found.stored.reply),
        "inputs": None if found.stored.inputs is None else orjson.Fragment(found.stored.inputs),
        "definition": found.definition,
        "audited": found.audited,
        "replay": outcome,
        "differences": [asdict(difference) for difference in found.differences or ()],
    }


def _words(document: dict[str, Any] | None) -> str:
    """The fields that say something, those of inner objects among them: "code TEN, quantity 1"."""
    words = []
    for name, value in (document or {}).items():
        if isinstance(value, dict):
            words.append(_words(value))
        elif value not in (None, []):
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            words.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(words)


def _show(found: Found) -> None:
    show_reply(RedemptionReply.model_validate_json(found.stored.reply))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    known = {
        "asked": _words(orjson.loads(found.stored.request)),
        "known then": _words(orjson.loads(found.stored.inputs or "null")),
        "the offer then": _words(found.definition),
        "in the audit log": "yes" if found.audited else "not, or not yet",
    }
    for name, value in known.items():
        if value:
            facts.add_row(Text(name, style="dim"), Text(value))
    console.print(facts)
    if found.differences is None:
        console.print("what it rested on is not recorded: it was decided before that was kept")
    elif not found.differences:
        console.print("[green]deciding again gives the same[/]")
    else:
        console.print("[bold red]the record is not what deciding again gives:[/]")
        for each in found.differences:
            console.print(Text(f"  {each.field}: recorded {each.recorded}, decided again {each.replayed}"))
