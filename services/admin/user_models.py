"""What testing a user takes and returns: verdicts with each rule in words, and what is known of the user."""

from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.admin.models import Audience, OfferMoment, Status
from shared.events.fields import Moment, Money
from shared.events.redemption_replies import Reason, RuleResult
from shared.rules import Logic

_TOPUPS: Final[dict[str, Any]] = {
    "rule_key": "two-topups",
    "rule_type": "min_topups",
    "passed": False,
    "required": 2,
    "actual": 1,
    "valid_until": None,
    "missing": "1 more topup within 30 days",
    "sentence": "at least 2 topups in the last 30 days",
}
_VERDICT: Final[dict[str, Any]] = {
    "user_id": "2f0cf9a5-0c5e-4a77-9f43-6d1f1a6f1d10",
    "at": "2026-11-24T12:00:00Z",
    "eligible": False,
    "allowed": True,
    "eligibility_logic": "all",
    "valid_until": None,
    "rules": [_TOPUPS],
}
_OFFER: Final[dict[str, Any]] = {
    "offer_id": "7d2b61a4-3f0e-4f0c-9b50-5a4b0c2f7e11",
    "code": "SPRING10",
    "title": "Spring",
    "status": "active",
    "starts_at": None,
    "ends_at": None,
    "per_user_limit": 1,
    "uses": 0,
    "total_usage_limit": None,
    "usage_count": 12,
    "reason": "not_eligible",
}


class Trial(Audience):
    """A rule set that need not be saved anywhere, and the user to try it on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": _VERDICT["user_id"],
                    "at": "2026-11-24T12:00:00Z",
                    "rules": [{"rule_key": "two-topups", "rule_type": "min_topups", "params": {"count": 2}}],
                }
            ]
        }
    )

    user_id: UUID
    at: OfferMoment | None = Field(default=None, description="where the clock stands; null: now")


class TestedRule(RuleResult):
    """How one rule judges the user."""

    sentence: str = Field(description="what the rule asks for, in words")


class Verdict(BaseModel):
    """Whether a user may use an offer with the clock at an instant, and why.

    What is known today is judged; a clock set back sees no transaction and no registration of later."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VERDICT]})

    user_id: UUID
    at: Moment = Field(description="where the clock stood")
    eligible: bool
    allowed: bool = Field(description="open to the user, its rules aside")
    eligibility_logic: Logic
    valid_until: Moment | None = Field(description="null: not eligible, or never lapses")
    rules: list[TestedRule]


class OfferTest(Verdict):
    """A verdict on a stored offer, and what else decides whether the user can use it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VERDICT | _OFFER]})

    offer_id: UUID
    code: str
    title: str
    status: Status
    starts_at: Moment | None
    ends_at: Moment | None
    per_user_limit: int | None
    uses: int = Field(description="standing redemptions of this user")
    total_usage_limit: int | None
    usage_count: int
    reason: Reason | None = Field(
        description="why a purchase then would be rejected, its product and quantity aside; null: it would not"
    )


class OfferTestPage(BaseModel):
    """One user against the offers: active ones first, then paused, drafts and archived, newest first."""

    items: list[OfferTest]
    next: UUID | None = Field(description="`after` of the next page; null on the last")


class Transaction(BaseModel):
    """A topup or purchase, as its newest event says."""

    topup_id: UUID
    operator_id: UUID
    operator: str | None = Field(description="the operator's name, if it has one")
    kind: Literal["topup", "purchase"]
    amount: Money
    status: Literal["succeeded", "failed", "reversed"] = Field(description="only succeeded ones count")
    occurred_at: Moment


class UserFacts(BaseModel):
    """What is known of a user."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "user_id": _VERDICT["user_id"],
                    "registered_at": "2026-10-01T08:00:00Z",
                    "roles": ["agent"],
                    "transactions": [
                        {
                            "topup_id": "b7f7ab0e-1a0e-4d53-9d2c-3a6f6a0e5c01",
                            "operator_id": "00000000-0000-4000-8000-00000000000a",
                            "operator": "MTN",
                            "kind": "topup",
                            "amount": "10.00",
                            "status": "succeeded",
                            "occurred_at": "2026-11-20T09:30:00Z",
                        }
                    ],
                }
            ]
        }
    )

    user_id: UUID
    registered_at: Moment | None = Field(description="null: no event told it yet")
    roles: list[str]
    transactions: list[Transaction] = Field(description="the newest ones")
