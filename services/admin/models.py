"""What the admin API takes and returns. What it takes is held to the tables' constraints, field by field."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from shared.events.fields import Code, Moment, Money, Text
from shared.events.redemption_replies import RuleResult
from shared.rules import AnyRule, Logic

INTEGER_MAX = 2**31 - 1
USERS_MAX = 250_000
PRODUCTS_MAX = 1_000
ROLES_MAX = 50
RULES_MAX = 50
SAMPLE_MAX = 1_000
READ_ONLY = frozenset({"id", "status", "usage_count", "rules_version", "created_by", "created_at", "updated_at"})
"""Fields of an answer that a writer may send back; they are ignored."""

Status = Literal["draft", "active", "paused", "archived"]
DiscountType = Literal["percentage", "fixed_amount", "price_override"]
ApplyTo = Literal["all", "products"]


def _storable(code: str) -> str:
    if "\0" in code:
        raise ValueError("must not hold NUL characters")
    return code


def _finite(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    # The driver writes the first and last instant Python knows as -infinity and infinity.
    try:
        moment = validate(value)
        if datetime.min < moment.replace(tzinfo=None) < datetime.max:
            return moment
    except OverflowError:
        pass
    raise ValueError("must be within the years 1 to 9999 in UTC")


Positive = Annotated[int, Field(ge=1, le=INTEGER_MAX)]
OfferCode = Annotated[Code, AfterValidator(_storable)]
OfferMoment = Annotated[Moment, WrapValidator(_finite)]
Title = Annotated[Text, Field(min_length=1)]
RoleName = Annotated[Text, Field(min_length=1)]
ShownName = Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1)]


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Product(_Input):
    """A product the offer covers, and its special terms."""

    operator_product_id: UUID | None = None
    supplier_product_mapping_id: UUID | None = None
    price_override: Money | None = Field(
        default=None, description="unit price under the offer, instead of its discount"
    )
    max_quantity_per_purchase: Positive | None = None

    @model_validator(mode="after")
    def _names_a_product(self) -> "Product":
        if self.operator_product_id is None and self.supplier_product_mapping_id is None:
            raise ValueError("operator_product_id or supplier_product_mapping_id is needed")
        return self


class Audience(_Input):
    """Who may use an offer: everyone or those listed, as far as the rules pass."""

    allow_all: bool = Field(default=True, description="false: only the allowed users and roles")
    eligibility_logic: Logic = "all"
    allowed_users: list[UUID] = Field(default_factory=list, max_length=USERS_MAX)
    allowed_roles: list[RoleName] = Field(default_factory=list, max_length=ROLES_MAX)
    rules: list[AnyRule] = Field(default_factory=list, max_length=RULES_MAX)

    @field_validator("allowed_users")
    @classmethod
    def _users_once(cls, users: list[UUID]) -> list[UUID]:
        return sorted(set(users))

    @field_validator("allowed_roles")
    @classmethod
    def _roles_once(cls, roles: list[str]) -> list[str]:
        return sorted(set(roles))

    @field_validator("rules")
    @classmethod
    def _rule_keys_differ(cls, rules: list[AnyRule]) -> list[AnyRule]:
        repeated = _repeated([rule.rule_key for rule in rules])
        if repeated:
            raise ValueError(f"two rules have the rule_key {repeated[0]}")
        return rules

    @property
    def enabled_rules(self) -> list[AnyRule]:
        """The rules that ask something."""
        return [rule for rule in self.rules if rule.enabled]


class OfferDraft(Audience):
    """A whole offer as a writer states it: what is left out takes its default."""

    code: OfferCode
    title: Title
    description: Text = ""
    discount_type: DiscountType
    discount_value: Money = Field(description="per cent, an amount off, or the price itself")
    per_user_limit: Positive | None = None
    total_usage_limit: Positive | None = None
    apply_to: ApplyTo = "all"
    starts_at: OfferMoment | None = Field(default=None, description="null: at once")
    ends_at: OfferMoment | None = Field(default=None, description="exclusive; null: never")
    products: list[Product] = Field(default_factory=list, max_length=PRODUCTS_MAX, validate_default=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_read_only(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: field for name, field in value.items() if name not in READ_ONLY}
        return value

    @field_validator("discount_value")
    @classmethod
    def _percentage_at_most_100(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        if info.data.get("discount_type") == "percentage" and value > 100:
            raise ValueError("a percentage is at most 100")
        return value

    @field_validator("ends_at")
    @classmethod
    def _ends_after_start(cls, ends_at: Moment | None, info: ValidationInfo) -> Moment | None:
        starts_at = info.data.get("starts_at")
        if ends_at is not None and starts_at is not None and ends_at <= starts_at:
            raise ValueError("must be later than starts_at")
        return ends_at

    @field_validator("products")
    @classmethod
    def _products_differ(cls, products: list[Product], info: ValidationInfo) -> list[Product]:
        if not products and info.data.get("apply_to") == "products":
            raise ValueError("an offer that applies to products needs at least one")
        if _repeated([(p.operator_product_id, p.supplier_product_mapping_id) for p in products]):
            raise ValueError("the same product is listed twice")
        return products


class OfferEdit(OfferDraft):
    """A whole offer that replaces the stored one, and the version it was made from."""

    version: Positive | None = Field(default=None, description="needed here or as the If-Match header")


class Transition(_Input):
    """Optional guard of a status change."""

    version: Positive | None = Field(default=None, description="refuse unless the offer has this version")


class Preview(Audience):
    """A rule set that need not be saved anywhere."""

    sample_size: int = Field(default=20, ge=0, le=SAMPLE_MAX)
    compared_to: Audience | None = Field(default=None, description="tell who enters and leaves if it replaces this one")


class OfferSummary(BaseModel):
    """An offer without its lists."""

    id: UUID
    code: str
    title: str
    description: str
    status: Status
    discount_type: DiscountType
    discount_value: Money
    per_user_limit: int | None
    total_usage_limit: int | None
    usage_count: int
    apply_to: ApplyTo
    allow_all: bool
    eligibility_logic: Logic
    starts_at: Moment | None
    ends_at: Moment | None
    version: int = Field(description="raised by every change; state it to replace the offer")
    rules_version: int = Field(description="raised by every change of who may use the offer")
    created_by: str
    created_at: Moment
    updated_at: Moment


class StoredRule(BaseModel):
    """A rule as stored."""

    rule_key: str
    rule_type: str
    params: dict[str, Any]
    description: str
    enabled: bool = True


class Offer(OfferSummary):
    """A whole offer."""

    products: list[Product]
    allowed_users: list[UUID]
    allowed_roles: list[str]
    rules: list[StoredRule]


class OfferPage(BaseModel):
    """Offers, newest first."""

    items: list[OfferSummary]
    next: UUID | None = Field(description="`after` of the next page; null on the last")


class Member(BaseModel):
    """A user in an offer's segment."""

    user_id: UUID
    valid_until: Moment | None = Field(description="null: never lapses")
    entered_at: Moment
    current: bool = Field(description="false: computed by older rules, a rebuild is under way")


class MemberPage(BaseModel):
    """An offer's members by user id, lapsed ones left out."""

    items: list[Member]
    next: UUID | None = Field(description="`after` of the next page; null on the last")


class Eligibility(BaseModel):
    """Whether a user may use an offer now, and why."""

    offer_id: UUID
    user_id: UUID
    eligible: bool
    allowed: bool = Field(description="open to the user, its rules aside")
    eligibility_logic: Logic
    valid_until: Moment | None = Field(description="null: not eligible, or never lapses")
    rules: list[RuleResult]


class OperatorName(_Input):
    """What people call an operator."""

    name: ShownName


class Operator(BaseModel):
    """An operator that has a name."""

    id: UUID
    name: str
    updated_at: Moment


class OperatorList(BaseModel):
    """Every operator that has a name, by name."""

    items: list[Operator]


class RuleCount(BaseModel):
    """How many of all users pass one rule, whatever the others say."""

    rule_key: str
    rule_type: str
    matching: int


class Comparison(BaseModel):
    """How another rule set's users differ."""

    matching: int = Field(description="users the other rule set matches")
    entering: int = Field(description="matched now, not by the other")
    leaving: int = Field(description="matched by the other, no longer now")
    entering_sample: list[UUID]
    leaving_sample: list[UUID]


class PreviewResult(BaseModel):
    """Whom a rule set matches now, among the users known."""

    total_users: int
    allowed: int = Field(description="users it is open to, the rules aside")
    matching: int
    rules: list[RuleCount]
    sample: list[UUID] = Field(description="the first matching users by id")
    comparison: Comparison | None = Field(default=None, description="beside `compared_to`, where that was given")


def _repeated(keys: Sequence[object]) -> list[object]:
    seen: set[object] = set()
    return [key for key in keys if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
