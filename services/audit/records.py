"""What the audit service passes around: rows to append, events found, filters and cursors."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.audit.chain import Entry
from shared.events.audit_events import AuditEvent


@dataclass(frozen=True, slots=True)
class Linked:
    """An event with its place in a chain and the hash of that link: one row of audit_log."""

    event: AuditEvent
    entry: Entry
    recorded_at: datetime
    hash: bytes


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """One row of audit_log as a reader sees it; `data` is its JSON text, numbers unrounded."""

    event_id: UUID
    type: str
    actor: str
    entity_type: str
    entity_id: UUID
    offer_id: UUID | None
    user_id: UUID | None
    occurred_at: datetime
    data: str
    recorded_at: datetime
    chain: int
    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the newest-first order: what comes after is older than this."""

    occurred_at: datetime
    event_id: UUID


@dataclass(frozen=True, slots=True)
class Filters:
    """Which events are wanted; None leaves a filter out. `since` is inclusive, `until` exclusive."""

    entity_id: UUID | None = None
    offer_id: UUID | None = None
    user_id: UUID | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
