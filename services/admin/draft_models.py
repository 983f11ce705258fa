"""What the API takes and returns of drafts, their publication, and the versions an offer had."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.admin.content import Content
from services.admin.models import INTEGER_MAX, PRODUCTS_MAX, ROLES_MAX, RULES_MAX, USERS_MAX, Comparison
from shared.events.fields import Moment
from shared.http.problems import FieldError

EXAMPLE = {
    "code": "BIG15",
    "title": "15 % for big spenders",
    "discount_type": "percentage",
    "discount_value": "15.00",
    "rules": [
        {"rule_key": "spent", "rule_type": "min_spent", "params": {"amount": "400.00", "window_days": 30}},
    ],
}


class _Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Typed = Annotated[str, StringConstraints(max_length=2_000)] | int | float | bool | None
"""What somebody typed: text, or what programs send in its place."""


class ProductTyped(_Input):
    """A product as typed."""

    operator_product_id: Typed = None
    supplier_product_mapping_id: Typed = None
    price_override: Typed = None
    max_quantity_per_purchase: Typed = None


class RuleTyped(_Input):
    """A rule as typed."""

    rule_key: Annotated[str, StringConstraints(max_length=500)]
    rule_type: Annotated[str, StringConstraints(max_length=500)]
    params: dict[str, Typed] = Field(default_factory=dict, max_length=50)
    description: Annotated[str, StringConstraints(max_length=2_000)] = ""
    enabled: bool = True


class ContentTyped(_Input):
    """An offer as typed, valid or not. What is left out stays as it is."""

    code: Typed = None
    title: Typed = None
    description: Typed = None
    discount_type: Typed = None
    discount_value: Typed = None
    per_user_limit: Typed = None
    total_usage_limit: Typed = None
    starts_at: Annotated[str, StringConstraints(max_length=500)] | None = None
    ends_at: Annotated[str, StringConstraints(max_length=500)] | None = None
    apply_to: Typed = None
    products: list[ProductTyped] = Field(default_factory=list, max_length=PRODUCTS_MAX)
    allow_all: bool = True
    allowed_roles: list[Annotated[str, StringConstraints(max_length=2_000)]] = Field(
        default_factory=list, max_length=ROLES_MAX
    )
    eligibility_logic: Typed = None
    rules: list[RuleTyped] = Field(default_factory=list, max_length=RULES_MAX)

    def stated(self) -> Content:
        """The fields that were sent."""
        return {name: value for name, value in self.model_dump().items() if name in self.model_fields_set}


class DraftRevision(_Input):
    """The draft as the writer knows it."""

    revision: int = Field(ge=0, le=INTEGER_MAX, description="0: there is none yet")


class DraftEdit(DraftRevision):
    """A whole draft. It need not be valid: what is wrong is told, and stands in the way of publishing only."""

    content: ContentTyped = Field(examples=[EXAMPLE])
    allowed_users: list[UUID] | None = Field(default=None, max_length=USERS_MAX, description="null: as they are")
    base_version: int | None = Field(
        default=None, ge=1, le=INTEGER_MAX, description="the offer's version that was edited, where this begins a draft"
    )


class Publication(DraftRevision):
    """What to publish, and on top of what."""

    version: int = Field(ge=1, le=INTEGER_MAX, description="the offer's version it replaces")
    activate: bool = Field(default=False, description="also make a draft or paused offer active")
    confirm_reach: bool = Field(default=False, description="needed where very many users would be reached")


class DraftView(BaseModel):
    """The caller's draft of an offer."""

    offer_id: UUID
    version: int = Field(description="the offer's, now")
    base_version: int = Field(description="the offer's version the draft was made from")
    stale: bool = Field(description="somebody changed the offer since: put the draft on top of it, or discard it")
    revision: int = Field(description="raised by every save; state it with the next. 0: nothing is edited yet")
    content: dict[str, Any]
    allowed_users: list[UUID]
    problems: list[FieldError] = Field(description="what stands in the way of publishing")
    can_undo: bool
    can_redo: bool
    updated_at: Moment | None


class Rebased(DraftView):
    """A draft on top of the offer as it is now."""

    conflicts: list[str] = Field(description="fields that both sides changed, differently: the draft's stand")


class Change(BaseModel):
    """One thing that publishing changes, in words; null where it does not exist."""

    label: str
    before: str | None
    after: str | None


class DraftChanges(BaseModel):
    """What publishing the draft would do now."""

    changes: list[Change]
    matching: int = Field(description="users it would reach")
    total_users: int
    comparison: Comparison
    must_confirm: bool


class VersionView(BaseModel):
    """What an offer was at a version."""

    version: int
    change: str
    content: dict[str, Any]
    allowed_users: int = Field(description="how many; the list itself is not kept")
    made_by: str
    made_at: Moment


class VersionPage(BaseModel):
    """Versions, newest first."""

    items: list[VersionView]
    next: int | None = Field(description="`before` of the next page; null on the last")
