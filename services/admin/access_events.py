"""Audit events of who may do what: written with the change they tell of, and never with a secret."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID, uuid4

from shared.clock import utc_now
from shared.database import Connection
from shared.events.audit_events import AuditEvent
from shared.outbox import add_to_outbox
from shared.security import Caller
from shared.topics import AUDIT_EVENTS

AccessChange = Literal["token.created", "token.revoked", "admin.created", "admin.updated"]


async def announce(
    connection: Connection,
    kind: AccessChange,
    entity_id: UUID,
    name: str,
    changes: Mapping[str, tuple[Any, Any]],
    caller: Caller,
) -> None:
    """Put the event of a change into the outbox; `changes` has what each field was and is."""
    event = AuditEvent(
        event_id=uuid4(),
        type=kind,
        actor=caller.name,
        entity_type="token" if kind.startswith("token") else "admin",
        entity_id=entity_id,
        occurred_at=utc_now(),
        data={
            "name": name,
            "changes": {field: {"before": old, "after": new} for field, (old, new) in changes.items()},
            "by": caller.described(),
        },
    )
    await add_to_outbox(connection, AUDIT_EVENTS, [(entity_id, event.model_dump_json())])
