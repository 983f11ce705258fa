"""What the audit service passes around: rows to append."""

from dataclasses import dataclass
from datetime import datetime

from services.audit.chain import Entry
from shared.events.audit_events import AuditEvent


@dataclass(frozen=True, slots=True)
class Linked:
    """An event with its place in a chain and the hash of that link: one row of audit_log."""

    event: AuditEvent
    entry: Entry
    recorded_at: datetime
    hash: bytes
