"""Topic `segments.changed`, keyed by user_id: one event per real change of an offer's membership."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.events.fields import Message, Moment


class SegmentChanged(Message):
    """A user entered or left the segment of an offer."""

    event_id: UUID
    type: Literal["segment.entered", "segment.left"]
    offer_id: UUID
    user_id: UUID
    valid_until: Moment | None = Field(description="entered: when it lapses, null if never; left: when it ended")
    occurred_at: Moment
