"""What an editor edits: an offer's content as a form has it, valid or not. Pure.

Values are as typed, in text where a form has text; `check` turns them into a whole offer or names what is wrong with
which field, as requests to the API name it: `rules.0.params.amount`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.admin.models import Offer, OfferDraft

Content = dict[str, Any]
FIELDS: Final = (
    "code",
    "title",
    "description",
    "discount_type",
    "discount_value",
    "per_user_limit",
    "total_usage_limit",
    "starts_at",
    "ends_at",
    "apply_to",
    "products",
    "allow_all",
    "allowed_roles",
    "eligibility_logic",
    "rules",
)
"""In the order people read them."""

_MESSAGES: Final[Mapping[str, str]] = {
    "missing": "is needed",
    "string_too_short": "is needed",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "decimal_parsing": "must be an amount, like 50.00",
    "decimal_max_places": "has at most 2 places after the point",
    "decimal_max_digits": "is too large",
    "decimal_whole_digits": "is too large",
    "uuid_parsing": "must be an id, like 6f1c2a50-0000-4000-8000-000000000000",
    "datetime_from_date_parsing": "must be a date and time",
    "datetime_parsing": "must be a date and time",
    "union_tag_invalid": "is a kind of rule that is not known here",
}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field, named by its path."""

    field: str
    message: str


def content_of(offer: Offer | OfferDraft) -> Content:
    """The content of an offer. Its allowed users are not part of it: there may be very many."""
    content = offer.model_dump(mode="json", include=set(FIELDS))
    content["rules"] = [_rule_content(rule) for rule in content["rules"]]
    return {name: content[name] for name in FIELDS}


def check(content: Content, allowed_users: Sequence[UUID]) -> OfferDraft | list[FieldProblem]:
    """The whole offer that the content describes, or each field that is wrong."""
    typed = {name: _given(value) for name, value in content.items() if name in FIELDS}
    stated = {name: value for name, value in typed.items() if value is not None}
    try:
        return OfferDraft.model_validate(stated | {"allowed_users": list(allowed_users)})
    except ValidationError as error:
        problems = [FieldProblem(_path(issue), _message(issue)) for issue in error.errors()]
        return list(dict.fromkeys(problems))


def alike(one: Content, other: Content) -> bool:
    """Whether a form would show both the same: 5 and "5", nothing and an empty text are."""
    same: bool = _as_shown(one) == _as_shown(other)
    return same


def merge(base: Content, mine: Content, theirs: Content) -> tuple[Content, list[str]]:
    """My changes since `base` on top of theirs, and the fields both changed, differently: there mine stand.

    Rules are compared one by one, by key.
    """
    merged, conflicts = dict(theirs), list[str]()
    for name in FIELDS:
        if name == "rules":
            merged[name] = _merge_rules(base[name], mine[name], theirs[name], conflicts)
        elif mine[name] != base[name]:
            merged[name] = mine[name]
            if theirs[name] not in (base[name], mine[name]):
                conflicts.append(name)
    return merged, conflicts


def _merge_rules(base: list[Any], mine: list[Any], theirs: list[Any], conflicts: list[str]) -> list[Any]:
    bases, mines, others = ({rule["rule_key"]: rule for rule in rules} for rules in (base, mine, theirs))
    merged = []
    for key, rule in mines.items():
        changed, theirs_changed = rule != bases.get(key), others.get(key) != bases.get(key)
        if changed and theirs_changed and rule != others.get(key):
            conflicts.append(f"rules.{key}")
        if changed or not theirs_changed:
            merged.append(rule)
        elif key in others:
            merged.append(others[key])
    merged += [rule for key, rule in others.items() if key not in mines and rule != bases.get(key)]
    return merged


def _rule_content(rule: Mapping[str, Any]) -> dict[str, Any]:
    params = {name: value for name, value in rule["params"].items() if value is not None}
    names = ("rule_key", "rule_type", "description", "enabled")
    return {name: rule[name] for name in names} | {"params": params}


def _given(value: Any) -> Any:
    """The value without what was left empty."""
    match value:
        case str():
            return value.strip() or None
        case list():
            return [_given(entry) for entry in value]
        case dict():
            given = {name: _given(entry) for name, entry in value.items()}
            return {name: entry for name, entry in given.items() if entry is not None}
    return value


def _as_shown(value: Any) -> Any:
    match value:
        case bool():
            return value
        case list():
            return [_as_shown(entry) for entry in value]
        case dict():
            shown = {name: _as_shown(entry) for name, entry in value.items()}
            return {name: entry for name, entry in shown.items() if entry != ""}
    return "" if value is None else str(value)


def _path(issue: ErrorDetails) -> str:
    match issue["loc"]:
        case ("rules", place, _, *rest):  # The third part names the branch it was checked against.
            return ".".join(map(str, ("rules", place, *rest)))
        case loc:
            return ".".join(map(str, loc))


def _message(issue: ErrorDetails) -> str:
    context = issue.get("ctx", {})
    match issue["type"]:
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "greater_than":
            return f"must be more than {context['gt']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "string_too_long":
            return f"has at most {context['max_length']} characters"
        case "too_long":
            return f"holds at most {context['max_length']:,} entries"
        case kind:
            return _MESSAGES.get(kind) or issue["msg"].removeprefix("Value error, ")
