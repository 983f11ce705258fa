"""The changes an audit event of an offer tells, side by side: before and after, line by line, in words. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from services.admin.phrases import counted, humanised, moment_text, money_text, plain_text
from services.admin.wording import Operators, rule_sentence

_LABELS: Final[Mapping[str, str]] = {
    "discount_type": "Kind of discount",
    "per_user_limit": "Limit per user",
    "total_usage_limit": "Limit in all",
    "apply_to": "Products covered",
    "allow_all": "Open to",
    "eligibility_logic": "Rules that must pass",
    "starts_at": "Starts",
    "ends_at": "Ends",
}
_EMPTY: Final[Mapping[str, str]] = {
    "per_user_limit": "no limit",
    "total_usage_limit": "no limit",
    "starts_at": "at once",
    "ends_at": "never",
}
_WORDS: Final[Mapping[str, Mapping[object, str]]] = {
    "discount_type": {"percentage": "per cent off", "fixed_amount": "amount off", "price_override": "fixed price"},
    "apply_to": {"all": "every product", "products": "chosen products"},
    "allow_all": {True: "everybody", False: "chosen users and roles"},
    "eligibility_logic": {"all": "all of them", "any": "at least one"},
}
_NOUNS: Final[Mapping[str, str]] = {"allowed_users": "user", "products": "product"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one side; whether the other side lacks it."""

    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One field with its lines before and after; no lines where it was not set."""

    label: str
    before: list[Line]
    after: list[Line]


def changes_of(data: Mapping[str, Any], operators: Operators, *, is_new: bool) -> list[Change]:
    """The changed fields of an audit event, in the order it tells them; of something new, those that are set."""
    changes = data.get("changes")
    if not isinstance(changes, dict):
        return []
    told = {
        name: change
        for name, change in changes.items()
        if isinstance(change, dict) and {"before", "after"} <= change.keys()
    }
    found = [_change(name, change, operators, is_new) for name, change in told.items()]
    return [change for change in found if change.before or change.after]


def field_label(name: str) -> str:
    """What a field of an offer is called."""
    return _LABELS.get(name) or humanised(name)


def _change(name: str, change: Mapping[str, Any], operators: Operators, is_new: bool) -> Change:
    if "added" in change or "removed" in change:
        before = [] if is_new else _bulk_side(name, change, "before", "removed")
        after = _bulk_side(name, change, "after", "added")
        return Change(field_label(name), before, after)
    old = [] if is_new and change["before"] is None else _lines(name, change["before"], operators)
    new = _lines(name, change["after"], operators)
    return Change(field_label(name), _marked(old, new), _marked(new, old))


def _marked(lines: list[str], others: list[str]) -> list[Line]:
    return [Line(text, text not in others) for text in lines]


def _lines(name: str, value: Any, operators: Operators) -> list[str]:
    if isinstance(value, list):
        return [_item(item, operators) for item in value]
    if value == "" or (value is None and name not in _EMPTY):
        return []
    return [_value(name, value)]


def _value(name: str, value: Any) -> str:
    if value is None:
        return _EMPTY[name]
    if name in _WORDS and isinstance(value, str | bool):
        return _WORDS[name].get(value, str(value))
    formatted = _FORMATS.get(name)
    if formatted is None:
        return plain_text(value) if isinstance(value, bool) else str(value)
    return formatted(value)


def _moment(value: Any) -> str:
    try:
        return moment_text(datetime.fromisoformat(str(value)))
    except (ValueError, OverflowError):
        return str(value)


_FORMATS: Final[Mapping[str, Callable[[Any], str]]] = {
    "discount_value": money_text,
    "per_user_limit": lambda limit: counted(limit, "use"),
    "total_usage_limit": lambda limit: counted(limit, "use"),
    "starts_at": _moment,
    "ends_at": _moment,
}


def _item(item: Any, operators: Operators) -> str:
    """A rule as its sentence, a product by its terms, anything else as it is."""
    if not isinstance(item, dict):
        return str(item)
    params = item.get("params")
    if "rule_type" in item and isinstance(params, dict):
        sentence = rule_sentence(str(item["rule_type"]), params, operators)
        told = f"{sentence} – {item['description']}" if item.get("description") else sentence
        return f"{told} (switched off)" if item.get("enabled") is False else told
    return ", ".join(_terms(item))


def _terms(product: Mapping[str, Any]) -> Iterable[str]:
    for name, value in product.items():
        if value is not None:
            text = money_text(value) if name == "price_override" else plain_text(value)
            yield f"{humanised(name).lower().removesuffix(' id')} {text}"


def _bulk_side(name: str, change: Mapping[str, Any], side: str, listed: str) -> list[Line]:
    """How many there are on a side, the first of those that only it has, and how many more of them."""
    count = change[side]
    lines = [Line(counted(count, _NOUNS.get(name, "item")), False)]
    entries = change.get(listed)
    shown = entries if isinstance(entries, list) else []
    return lines + [Line(_item(entry, {}), True) for entry in shown]
