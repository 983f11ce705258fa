"""Topic `topups`, keyed by user_id: every topup and other paid transaction, written by upstream services.

Events may repeat and arrive in any order: one `topup_id` counts once, `topup.reversed` is final, otherwise
the event with the newest `occurred_at` says what the topup is.
"""

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.events.fields import Message, Moment, Money


class TopupEvent(Message):
    """What became of one topup."""

    event_id: UUID
    type: Literal["topup.succeeded", "topup.failed", "topup.reversed"]
    topup_id: UUID
    user_id: UUID
    operator_id: UUID
    kind: Literal["topup", "purchase"] = Field(default="topup", description="`purchase`: any other paid transaction")
    amount: Money
    occurred_at: Moment

    @property
    def status(self) -> str:
        """`succeeded`, `failed` or `reversed`."""
        return self.type.removeprefix("topup.")
