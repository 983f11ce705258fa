"""What reading the log takes and gives over HTTP: query parameters, cursors, events as JSON and CSV."""

import base64
import binascii
import csv
import io
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema

from shared.audit_log.records import Cursor, Filters, FoundEvent
from shared.clock import from_us, to_us
from shared.events.audit_events import AuditEvent, AuditType
from shared.events.fields import Moment, Text

PAGE_DEFAULT = 100
PAGE_MAX = 1000
_UUID_BYTES = 16
_TIME_BYTES = 8


def write_cursor(event: FoundEvent) -> str:
    """The opaque text that continues after this event."""
    place = to_us(event.occurred_at).to_bytes(_TIME_BYTES, "big", signed=True) + event.event_id.bytes
    return base64.urlsafe_b64encode(place).decode()


def read_cursor(text: object) -> Cursor:
    """The place a cursor's text stands for.

    Raises:
        ValueError: if no answer of this API held it.
    """
    try:
        place = base64.b64decode(str(text), altchars=b"-_", validate=True)
        moment_us = int.from_bytes(place[:_TIME_BYTES], "big", signed=True)
        return Cursor(from_us(moment_us), UUID(bytes=place[_TIME_BYTES:]))
    except (binascii.Error, ValueError, OverflowError):
        raise ValueError("not a cursor of this API") from None


class EventFilters(BaseModel):
    """Which events are wanted. A parameter it doesn't know is an error."""

    model_config = ConfigDict(extra="forbid")

    entity_id: UUID | None = None
    offer_id: UUID | None = None
    user_id: UUID | None = None
    request_id: UUID | None = Field(default=None, description="what became of a request, its redemption included")
    type: AuditType | None = None
    actor: Text | None = Field(default=None, description="who caused it, exactly")
    since: Moment | None = Field(default=None, alias="from", description="occurred then or later")
    until: Moment | None = Field(default=None, alias="to", description="occurred before")

    def filters(self, entities: tuple[UUID, ...] | None) -> Filters:
        """The same for the database, with the entities that `request_id` is about."""
        return Filters(
            entity_id=self.entity_id,
            offer_id=self.offer_id,
            user_id=self.user_id,
            type=self.type,
            since=self.since,
            until=self.until,
            entities=entities,
            actor=self.actor,
        )


class PageQuery(EventFilters):
    """The parameters of a page."""

    after: (
        Annotated[
            Cursor,
            PlainValidator(read_cursor),
            PlainSerializer(str),
            WithJsonSchema({"type": "string"}),
        ]
        | None
    ) = Field(default=None, description="`next` of the page before")
    limit: int = Field(default=PAGE_DEFAULT, ge=1, le=PAGE_MAX)


class ExportQuery(EventFilters):
    """The parameters of an export."""

    format: Literal["ndjson", "csv"] = "ndjson"


class RecordedEvent(AuditEvent):
    """An audit event as the log holds it."""

    recorded_at: Moment
    chain: int = Field(description="the Kafka partition it came from")
    sequence: int = Field(description="its place in the chain, from 1")
    hash: str = Field(description="SHA-256 over the hash before it and its content, hexadecimal")


class AuditPage(BaseModel):
    """Events, newest first (by occurred_at, then event_id)."""

    items: list[RecordedEvent]
    next: str | None = Field(description="give it as `after` for the next page; null: there is none")


def event_json(event: FoundEvent) -> dict[str, Any]:
    """A RecordedEvent for orjson (ids by `default=str`); its data goes out as stored, no number rounded."""
    return {
        "event_id": event.event_id,
        "type": event.type,
        "actor": event.actor,
        "entity_type": event.entity_type,
        "entity_id": event.entity_id,
        "offer_id": event.offer_id,
        "user_id": event.user_id,
        "occurred_at": event.occurred_at,
        "data": orjson.Fragment(event.data),
        "recorded_at": event.recorded_at,
        "chain": event.chain,
        "sequence": event.sequence,
        "hash": event.hash.hex(),
    }


def page_json(events: list[FoundEvent], limit: int) -> bytes:
    """An AuditPage of at most `limit` events, of which one more may have been read."""
    shown = events[:limit]
    following = write_cursor(shown[-1]) if len(events) > limit else None
    content = {"items": [event_json(event) for event in shown], "next": following}
    return orjson.dumps(content, default=str, option=orjson.OPT_UTC_Z)


def lines_json(events: list[FoundEvent]) -> bytes:
    """RecordedEvents as NDJSON, one a line."""
    option = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
    return b"".join(orjson.dumps(event_json(event), default=str, option=option) for event in events)


CSV_COLUMNS: Final = tuple(RecordedEvent.model_fields)


def csv_header() -> bytes:
    """The names of the columns: a RecordedEvent's fields."""
    return _csv([CSV_COLUMNS])


def lines_csv(events: list[FoundEvent]) -> bytes:
    """RecordedEvents as CSV (RFC 4180), `data` as JSON text, nothing where there is none."""
    rows = []
    for event in events:
        row = event_json(event) | {"data": event.data}
        for moment in ("occurred_at", "recorded_at"):
            row[moment] = row[moment].isoformat().replace("+00:00", "Z")
        rows.append([row[column] for column in CSV_COLUMNS])
    return _csv(rows)


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
