"""The rule editor's forms, drawn from the rules' JSON Schema alone: a new kind of rule needs no change here. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from services.admin.phrases import humanised
from shared.rules import json_schema

Input = Literal["integer", "amount", "name", "flag", "choice", "text"]

_FIXED: Final = frozenset({"rule_key", "rule_type", "params", "enabled"})
"""Properties of a rule that its card shows in another way."""


@dataclass(frozen=True, slots=True)
class Field:
    """An input of a form. `names`: the address of the names that a "name" may have."""

    name: str
    title: str
    description: str
    input: Input
    required: bool
    minimum: float | None = None
    maximum: float | None = None
    length_max: int | None = None
    choices: tuple[str, ...] = ()
    names: str | None = None
    default: Any = None


@dataclass(frozen=True, slots=True)
class RuleKind:
    """A kind of rule: what it is called, what it asks, and the inputs of its parameters and of its own."""

    rule_type: str
    title: str
    description: str
    params: tuple[Field, ...]
    own: tuple[Field, ...]

    def new_rule(self, key: str) -> dict[str, Any]:
        """A rule of this kind, still empty but for defaults."""
        given = {field.name: field.default for field in self.params if field.default is not None}
        return {"rule_key": key, "rule_type": self.rule_type, "description": "", "enabled": True, "params": given}


@cache
def rule_kinds() -> Mapping[str, RuleKind]:
    """Every kind of rule by its rule_type, in the schema's order."""
    return kinds_of(json_schema())


def kinds_of(schema: Mapping[str, Any]) -> Mapping[str, RuleKind]:
    """The kinds of rule that a JSON Schema has a branch for."""
    kinds = (_kind(schema, _resolved(schema, branch)) for branch in schema["oneOf"])
    return {kind.rule_type: kind for kind in kinds}


def _kind(schema: Mapping[str, Any], branch: Mapping[str, Any]) -> RuleKind:
    properties = branch["properties"]
    rule_type: str = properties["rule_type"]["const"]
    return RuleKind(
        rule_type=rule_type,
        title=branch.get("title") or humanised(rule_type),
        description=branch.get("description", ""),
        params=_fields(schema, _resolved(schema, properties["params"])),
        own=tuple(field for field in _fields(schema, branch) if field.name not in _FIXED),
    )


def _fields(schema: Mapping[str, Any], part: Mapping[str, Any]) -> tuple[Field, ...]:
    required = part.get("required", ())
    found = [
        _field(name, _resolved(schema, prop), name in required) for name, prop in part.get("properties", {}).items()
    ]
    # What must be filled in comes first, and an operator before its figures: so people say it.
    return tuple(sorted(found, key=lambda field: (not field.required, field.input != "name")))


def _field(name: str, prop: Mapping[str, Any], required: bool) -> Field:
    some = next((part for part in prop.get("anyOf", ()) if part.get("type") != "null"), prop)
    return Field(
        name=name,
        title=prop.get("title") or humanised(name),
        description=prop.get("description", ""),
        input=_input(some),
        required=required,
        minimum=some.get("minimum", some.get("exclusiveMinimum")),
        maximum=some.get("maximum", some.get("exclusiveMaximum")),
        length_max=some.get("maxLength"),
        choices=tuple(map(str, some.get("enum", ()))),
        names=some.get("x-names", prop.get("x-names")),
        default=prop.get("default"),
    )


def _input(some: Mapping[str, Any]) -> Input:
    if "x-names" in some:
        return "name"
    if "enum" in some:
        return "choice"
    match some.get("type"):
        case "integer":
            return "integer"
        case "boolean":
            return "flag"
        case "number":
            return "amount"
        case "string" if str(some.get("pattern", "")).startswith(r"^\d"):
            return "amount"
    return "text"


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = part.get("$ref")
    if reference is None:
        return part
    found: Mapping[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
    return {**found, **{name: value for name, value in part.items() if name != "$ref"}}
