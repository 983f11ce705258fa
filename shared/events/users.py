"""Topic `users`, keyed by user_id: registrations and changes of users, written by upstream services.

A topup may arrive before its user; it counts all the same.
"""

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.events.fields import Message, Moment, Text


class UserEvent(Message):
    """A user as of `occurred_at`; the newest event wins."""

    event_id: UUID
    type: Literal["user.registered", "user.updated"]
    user_id: UUID
    registered_at: Moment
    roles: list[Text] = Field(default_factory=list, max_length=100)
    occurred_at: Moment
