"""The rule editor's forms come from the JSON Schema alone."""

from typing import Any, Final

from services.admin.pages.rule_form import Field, kinds_of, rule_kinds
from shared.rules import json_schema

INVENTED: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Loyal to one network",
    "description": "Most of the spending is on one network.",
    "required": ["rule_key", "rule_type", "params"],
    "properties": {
        "rule_key": {"type": "string"},
        "rule_type": {"const": "loyal", "type": "string"},
        "description": {"type": "string", "default": "", "title": "Note", "maxLength": 500},
        "enabled": {"type": "boolean", "default": True},
        "params": {"$ref": "#/$defs/LoyalParams"},
    },
}
INVENTED_PARAMS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["share_percent", "network"],
    "properties": {
        "strict": {"type": "boolean", "default": False},
        "share_percent": {"type": "integer", "minimum": 1, "maximum": 100, "title": "Share (%)"},
        "network": {"type": "string", "format": "uuid", "x-names": "/api/operators"},
        "tier": {"anyOf": [{"enum": ["gold", "silver"], "type": "string"}, {"type": "null"}], "default": None},
    },
}


def test_each_of_the_eight_kinds_has_its_inputs() -> None:
    inputs = {
        kind.rule_type: [(field.name, field.input, field.required) for field in kind.params]
        for kind in rule_kinds().values()
    }
    window = ("window_days", "integer", False)
    operator = ("operator_id", "name", True)
    assert inputs == {
        "new_user": [("account_age_days", "integer", True)],
        "min_topups": [("count", "integer", True), window],
        "min_transactions": [("count", "integer", True), window],
        "min_spent": [("amount", "amount", True), window],
        "operator_topup_count": [operator, ("count", "integer", True), window],
        "operator_spent": [operator, ("amount", "amount", True), window],
        "active_days": [("count", "integer", True), window],
        "last_active_within": [("window_days", "integer", True)],
    }
    assert [field.name for field in rule_kinds()["min_spent"].own] == ["description"]


def test_a_kind_added_to_the_schema_has_a_form_with_no_other_change() -> None:
    schema = json_schema()
    schema["oneOf"].append({"$ref": "#/$defs/LoyalRule"})
    schema["$defs"] |= {"LoyalRule": INVENTED, "LoyalParams": INVENTED_PARAMS}
    kind = kinds_of(schema)["loyal"]
    assert (kind.title, kind.description) == ("Loyal to one network", "Most of the spending is on one network.")
    assert kind.params == (
        Field("network", "Network", "", "name", True, names="/api/operators"),
        Field("share_percent", "Share (%)", "", "integer", True, 1, 100),
        Field("strict", "Strict", "", "flag", False, default=False),
        Field("tier", "Tier", "", "choice", False, choices=("gold", "silver")),
    )
    assert kind.new_rule("loyal-2") == {
        "rule_key": "loyal-2",
        "rule_type": "loyal",
        "description": "",
        "enabled": True,
        "params": {"strict": False},
    }
