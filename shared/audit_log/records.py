"""What readers of the audit log pass around: events found, filters and cursors."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


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
    """Which events are wanted; None leaves a filter out. `since` is inclusive, `until` exclusive; `entities` are those
    a request is about."""

    entity_id: UUID | None = None
    offer_id: UUID | None = None
    user_id: UUID | None = None
    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    entities: tuple[UUID, ...] | None = None
    actor: str | None = None
