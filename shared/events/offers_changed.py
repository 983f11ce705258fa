"""Topic `offers.changed`, keyed by offer_id: an offer was created, edited, published, paused or archived.

It says that something changed and how far; what the offer now is stands in the database.
"""

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.events.fields import Message, Moment


class OfferChanged(Message):
    """One committed change of an offer."""

    event_id: UUID
    type: Literal["offer.created", "offer.updated", "offer.published", "offer.paused", "offer.archived"]
    offer_id: UUID
    code: str
    status: Literal["draft", "active", "paused", "archived"]
    version: int = Field(description="of the whole offer")
    rules_version: int = Field(description="of who may use it: rules, logic, allowed users and roles")
    occurred_at: Moment
