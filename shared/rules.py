"""The eight kinds of eligibility rule and their parameters: the one source of their JSON Schema.

A rule passes or fails for a user at an instant; shared/validity.py and the SQL function
explain_eligibility say how. Windows are whole days of 24 hours counted back from now; no window means ever.
"""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from shared.events.fields import Money, Text

Days = Annotated[int, Field(ge=1, le=36_500)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
PositiveMoney = Annotated[Money, Field(gt=0)]
WindowDays = Annotated[
    Days | None, Field(title="Window (days)", description="only the last so many days; empty means ever")
]
OperatorId = Annotated[UUID, Field(json_schema_extra={"x-names": "/api/operators"})]
RuleKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AccountAgeParams(_Strict):
    """How young an account must be."""

    account_age_days: Days = Field(title="Account age (days)")


class CountParams(_Strict):
    """How many, and in which window."""

    count: Count = Field(title="Count")
    window_days: WindowDays = None


class AmountParams(_Strict):
    """How much, and in which window."""

    amount: PositiveMoney = Field(title="Amount")
    window_days: WindowDays = None


class OperatorCountParams(CountParams):
    """How many on one operator."""

    operator_id: OperatorId = Field(title="Operator")


class OperatorAmountParams(AmountParams):
    """How much on one operator."""

    operator_id: OperatorId = Field(title="Operator")


class RecencyParams(_Strict):
    """How recently."""

    window_days: Days = Field(title="Window (days)")


class _Rule(_Strict):
    rule_key: RuleKey = Field(title="Key", description="names the rule within its offer")
    description: Text = Field(default="", title="Note", description="for colleagues; customers never see it")
    enabled: bool = Field(default=True, title="Enabled", description="false: kept with the offer, but asks nothing")


class NewUserRule(_Rule):
    """The account is at most so many days old."""

    model_config = ConfigDict(title="New user")

    rule_type: Literal["new_user"]
    params: AccountAgeParams


class MinTopupsRule(_Rule):
    """At least so many topups."""

    model_config = ConfigDict(title="Topups")

    rule_type: Literal["min_topups"]
    params: CountParams


class MinTransactionsRule(_Rule):
    """At least so many transactions: topups and purchases."""

    model_config = ConfigDict(title="Transactions")

    rule_type: Literal["min_transactions"]
    params: CountParams


class MinSpentRule(_Rule):
    """At least so much spent."""

    model_config = ConfigDict(title="Amount spent")

    rule_type: Literal["min_spent"]
    params: AmountParams


class OperatorTopupCountRule(_Rule):
    """At least so many topups on one operator."""

    model_config = ConfigDict(title="Topups on an operator")

    rule_type: Literal["operator_topup_count"]
    params: OperatorCountParams


class OperatorSpentRule(_Rule):
    """At least so much spent on one operator."""

    model_config = ConfigDict(title="Amount spent on an operator")

    rule_type: Literal["operator_spent"]
    params: OperatorAmountParams


class ActiveDaysRule(_Rule):
    """Transactions on at least so many different days (UTC)."""

    model_config = ConfigDict(title="Active days")

    rule_type: Literal["active_days"]
    params: CountParams


class LastActiveWithinRule(_Rule):
    """A transaction within the last so many days."""

    model_config = ConfigDict(title="Recently active")

    rule_type: Literal["last_active_within"]
    params: RecencyParams


Rule = (
    NewUserRule
    | MinTopupsRule
    | MinTransactionsRule
    | MinSpentRule
    | OperatorTopupCountRule
    | OperatorSpentRule
    | ActiveDaysRule
    | LastActiveWithinRule
)
AnyRule = Annotated[Rule, Field(discriminator="rule_type")]
RULE: Final[TypeAdapter[Rule]] = TypeAdapter(AnyRule)

Logic = Literal["all", "any"]


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a rule, one branch per rule_type; the admin's rule editor is drawn from it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Eligibility rule",
        **RULE.json_schema(),
    }
