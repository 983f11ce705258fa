"""Topic `audit.events`, keyed by entity_id: every decision and every change, once each by `event_id`."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from shared.events.fields import Message, Moment, Text

AuditType = Literal[
    "redemption.accepted",
    "redemption.rejected",
    "redemption.revoked",
    "offer.created",
    "offer.updated",
    "offer.published",
    "offer.paused",
    "offer.archived",
    "segment.rebuilt",
    "token.created",
    "token.revoked",
    "admin.created",
    "admin.updated",
]


class AuditEvent(Message):
    """One fact for the audit trail. Consumers drop an `event_id` they already have."""

    event_id: UUID
    type: AuditType
    actor: Text = Field(description="who caused it: a user, a token's name, or a service")
    entity_type: Literal["redemption", "request", "offer", "token", "admin"]
    entity_id: UUID
    offer_id: UUID | None = None
    user_id: UUID | None = None
    occurred_at: Moment
    data: dict[str, Any] = Field(default_factory=dict)
