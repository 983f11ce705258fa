"""Turns the editor's form into an offer's content and back, and does what its buttons say. Pure.

Inputs are named by path, `rules.0.params.amount`; the places are those of the last drawing. Rows come in the order of
the page, so that what was dragged elsewhere stands there.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from services.admin.content import Content
from services.admin.models import RULES_MAX
from services.admin.pages.rule_form import RuleKind, rule_kinds

Operators = Mapping[UUID, str]
Form = Sequence[tuple[str, str]]
"""Names and values in the page's order."""

_PLAIN: Final = (
    *("code", "title", "description", "discount_type", "discount_value", "per_user_limit", "total_usage_limit"),
    *("apply_to", "eligibility_logic"),
)
_TIMES: Final = ("starts_at", "ends_at")
_LOCAL: Final = re.compile(r"\d{4,5}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")
_ROW: Final = re.compile(r"(rules|products)\.(\d+)\.(.+)")
_PRODUCT: Final = ("operator_product_id", "supplier_product_mapping_id", "price_override", "max_quantity_per_purchase")


def content_of_form(form: Form, operators: Operators) -> Content:
    """What the form says, as typed. Operators may be called by name."""
    given = dict(form)
    content: Content = {name: given.get(name, "") for name in _PLAIN}
    for name in _TIMES:
        content[name] = _time(given.get(name, "").strip(), given.get(f"{name}.exact", ""))
    content["allow_all"] = given.get("allow_all") != "false"
    roles = (role.strip() for role in given.get("allowed_roles", "").split(","))
    content["allowed_roles"] = sorted({role for role in roles if role})
    rows = _rows(form)
    content["products"] = [{name: row.get(name, "") for name in _PRODUCT} for row in rows["products"]]
    content["rules"] = [_rule(row, {name.lower(): key for key, name in operators.items()}) for row in rows["rules"]]
    return content


def local_time(value: str | None) -> str:
    """2026-11-25T08:30:00Z as an input of a date and time takes it, in UTC and to the second."""
    time = (value or "").removesuffix("Z").partition(".")[0]
    return time.removesuffix(":00") if time.count(":") > 1 else time


def _time(typed: str, exact: str) -> str | None:
    """The instant that was typed; the input shows no fractions of seconds, so where it is as it was they stay."""
    if typed == local_time(exact):
        return exact or None
    return (f"{typed}Z" if _LOCAL.fullmatch(typed) else typed) or None


def _rows(form: Form) -> dict[str, list[dict[str, str]]]:
    rows: dict[str, dict[str, dict[str, str]]] = {"rules": {}, "products": {}}
    for name, value in form:
        found = _ROW.fullmatch(name)
        if found:
            rows[found[1]].setdefault(found[2], {})[found[3]] = value
    return {kind: list(found.values()) for kind, found in rows.items()}


def _rule(row: Mapping[str, str], ids: Mapping[str, UUID]) -> dict[str, Any]:
    kind = rule_kinds().get(row.get("rule_type", ""))
    params: dict[str, Any] = {}
    for name, value in row.items():
        prefix, _, param = name.partition(".")
        if prefix == "params" and value.strip():
            params[param] = value
    for field in kind.params if kind else ():
        if field.input == "name" and field.name in params:
            params[field.name] = str(ids.get(params[field.name].strip().lower(), params[field.name]))
        elif field.input == "flag":
            params[field.name] = field.name in params
    own = {field.name: row.get(field.name, "") for field in kind.own} if kind else {}
    return {
        "rule_key": row.get("rule_key", ""),
        "rule_type": row.get("rule_type", ""),
        **own,
        "enabled": row.get("enabled") != "false",
        "params": params,
    }


def apply(content: Content, operation: str) -> str | None:
    """Do to the content what a button says; returns the id of the element to look at next.

    Rules are called by their keys, `rules.up:spent`: places may have changed since the button was drawn.
    """
    name, _, argument = operation.partition(":")
    return _OPERATIONS[name](content, argument) if name in _OPERATIONS else None


def _add_rule(content: Content, rule_type: str) -> str | None:
    kind = rule_kinds().get(rule_type)
    rules = content["rules"]
    if kind is None or len(rules) >= RULES_MAX:
        return None
    rules.append(kind.new_rule(_free_key(rule_type, rules)))
    return _first_input(len(rules) - 1, kind)


def _duplicate_rule(content: Content, argument: str) -> str | None:
    rules, place = content["rules"], _place_of(content["rules"], argument)
    if place is None or len(rules) >= RULES_MAX:
        return None
    rule = rules[place]
    key = _free_key(re.sub(r"-\d+$", "", rule["rule_key"]), rules)
    rules.insert(place + 1, rule | {"rule_key": key, "params": dict(rule["params"])})
    return _first_input(place + 1, rule_kinds().get(rule["rule_type"]))


def _remove_rule(content: Content, argument: str) -> str | None:
    place = _place_of(content["rules"], argument)
    if place is not None:
        del content["rules"][place]
    return f"rule-{min(place or 0, len(content['rules']) - 1)}" if content["rules"] else "palette-search"


def _toggle_rule(content: Content, argument: str) -> str | None:
    place = _place_of(content["rules"], argument)
    if place is None:
        return None
    content["rules"][place]["enabled"] = not content["rules"][place]["enabled"]
    return f"rule-{place}-toggle"


def _mover(by: int, direction: str) -> Callable[[Content, str], str | None]:
    def move(content: Content, argument: str) -> str | None:
        rules, place = content["rules"], _place_of(content["rules"], argument)
        if place is None or not 0 <= place + by < len(rules):
            return None
        rules.insert(place + by, rules.pop(place))
        at_end = not 0 <= place + 2 * by < len(rules)
        return f"rule-{place + by}" if at_end else f"rule-{place + by}-{direction}"

    return move


def _add_product(content: Content, _: str) -> str:
    content["products"].append(dict.fromkeys(_PRODUCT, ""))
    return f"products.{len(content['products']) - 1}.operator_product_id"


def _remove_product(content: Content, argument: str) -> str:
    place = _place(content["products"], argument)
    if place is not None:
        del content["products"][place]
    return "add-product"


_OPERATIONS: Final[Mapping[str, Callable[[Content, str], str | None]]] = {
    "rules.add": _add_rule,
    "rules.duplicate": _duplicate_rule,
    "rules.remove": _remove_rule,
    "rules.toggle": _toggle_rule,
    "rules.up": _mover(-1, "up"),
    "rules.down": _mover(1, "down"),
    "products.add": _add_product,
    "products.remove": _remove_product,
}


def _place_of(rules: Sequence[Mapping[str, Any]], key: str) -> int | None:
    return next((place for place, rule in enumerate(rules) if rule["rule_key"] == key), None)


def _place(rows: Sequence[Any], argument: str) -> int | None:
    place = int(argument) if argument.isascii() and argument.isdigit() else -1
    return place if 0 <= place < len(rows) else None


def _free_key(wanted: str, rules: Iterable[Mapping[str, Any]]) -> str:
    """`wanted`, or with the first number behind it that no rule's key has."""
    taken = {rule["rule_key"] for rule in rules}
    wanted = wanted[:58]
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(key for key in numbered if key not in taken)


def _first_input(place: int, kind: RuleKind | None) -> str:
    return f"rules.{place}.params.{kind.params[0].name}" if kind and kind.params else f"rule-{place}"
