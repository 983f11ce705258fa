"""What the insight API answers with."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.admin.models import Status
from shared.events.fields import Moment, Money

Bucket = Literal["hour", "day"]


class OutcomePoint(BaseModel):
    """What became of the redemptions asked for in an hour or a day."""

    at: Moment = Field(description="when it began, in UTC")
    accepted: int = 0
    revoked: int = 0
    rejected: dict[str, int] = Field(default_factory=dict, description="by reason")


class MemberPoint(BaseModel):
    """How many members there were at the end of an hour or a day."""

    at: Moment = Field(description="when it began, in UTC")
    members: int | None = Field(description="null: nobody had counted yet")


class ReasonCount(BaseModel):
    """How often a reason led to a rejection."""

    reason: str
    text: str = Field(description="the reason in words")
    count: int


class Totals(BaseModel):
    """Where an offer stands."""

    used: int = Field(description="redemptions that stand")
    usage_limit: int | None = Field(description="null: no limit")
    discount_given: Money = Field(description="the discounts of the redemptions that stand")
    members: int = Field(description="users in the offer's segment; of a great many, as they were last counted")
    members_counted_at: Moment | None = Field(description="when they were; null where the number is of now")
    accepted_today: int = Field(description="since midnight in UTC, as the two others")
    rejected_today: int
    revoked_today: int


class Rebuild(BaseModel):
    """How far the members have been computed anew after a change of rules."""

    users_done: int
    users_total: int


class Figures(BaseModel):
    """What changes while somebody looks at an offer."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "offer_id": "7c1b9f9e-3f0a-4a0e-9a53-0f6d3c1b2a90",
                "status": "active",
                "version": 3,
                "counted_until": "2026-11-25T08:00:02Z",
                "totals": {
                    "used": 120,
                    "usage_limit": 500,
                    "discount_given": "1180.50",
                    "members": 2310,
                    "members_counted_at": None,
                    "accepted_today": 14,
                    "rejected_today": 3,
                    "revoked_today": 1,
                },
                "rebuild": None,
                "hour": {"at": "2026-11-25T08:00:00Z", "accepted": 2, "revoked": 0, "rejected": {"not_eligible": 1}},
                "day": {"at": "2026-11-25T00:00:00Z", "accepted": 14, "revoked": 1, "rejected": {"not_eligible": 3}},
            }
        }
    )

    offer_id: UUID
    status: Status
    version: int = Field(description="raised by every change of the offer")
    counted_until: Moment = Field(description="decisions made earlier are counted, each once")
    totals: Totals
    rebuild: Rebuild | None = Field(description="null: the members are those of the present rules")
    hour: OutcomePoint = Field(description="the present hour")
    day: OutcomePoint = Field(description="the present day, in UTC")


class Insight(Figures):
    """An offer's figures with what led to them, over the hours asked for."""

    hours: int
    bucket: Bucket = Field(description="what a point covers")
    outcomes: list[OutcomePoint] = Field(description="one for each hour or day, the present one last")
    reasons: list[ReasonCount] = Field(description="rejections of those hours by reason, the most frequent first")
    members: list[MemberPoint] = Field(description="one for each hour or day, the present one last")
