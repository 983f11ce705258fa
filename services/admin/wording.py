"""What rules, terms and refusals are called in plain English, for people to read. Pure.

Each kind of rule known here has a sentence of its own; any other is described by its JSON Schema and its
parameters, so that a new kind reads well enough before somebody writes its sentence. Nothing here raises: half-filled
rules of an editor are put into words as far as they go.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from services.admin.models import OfferDraft, OfferSummary, StoredRule
from services.admin.phrases import counted, humanised, listed, moment_text, money_text, plain_text
from shared.rules import Rule, json_schema

Operators = Mapping[UUID, str]
"""Operators' names by id."""
Params = Mapping[str, Any]
AnyForm = StoredRule | Rule | Mapping[str, Any]
"""A rule as stored, as validated, or as a form has it: `rule_type` and `params`."""

BLANK: Final = "…"
"""Stands where nothing usable is filled in yet."""

_REASONS: Final[Mapping[str, str]] = {
    "invalid_request": "The request could not be understood",
    "idempotency_conflict": "The same request came before with other content",
    "deadline_passed": "The request came too late: its deadline had passed",
    "offer_not_found": "There is no such offer",
    "offer_inactive": "The offer is not active",
    "offer_not_started": "The offer has not started yet",
    "offer_ended": "The offer has ended",
    "product_not_covered": "The offer does not cover this product",
    "quantity_exceeded": "More was bought at once than the offer allows",
    "user_not_allowed": "The offer is not open to this user",
    "not_eligible": "The user does not meet the offer's rules",
    "per_user_limit_reached": "The user has used the offer as often as one user may",
    "offer_exhausted": "The offer has been used as often as it may be",
    "redemption_not_found": "There is no such redemption",
    "already_revoked": "The redemption was revoked before",
}


def rule_sentence(rule_type: str, params: Params, operators: Operators) -> str:
    """What one rule asks of a user, to follow "users with": "at least 2 topups on MTN in the last 30 days"."""
    sentence = _SENTENCES.get(rule_type)
    asked = sentence(params) if sentence else _by_schema(rule_type, params)
    return asked + _on_operator(rule_type, params, operators) + _in_window(rule_type, params)


def rules_sentence(logic: str, rules: Iterable[AnyForm], operators: Operators) -> str:
    """Whom some rules together let in, those switched off left out: "Users with all of: …; and …"."""
    parts = [rule_sentence(*_type_and_params(rule), operators) for rule in rules if _enabled(rule)]
    if not parts:
        return "Everybody: there are no rules"
    if len(parts) == 1:
        return f"Users with {parts[0]}"
    quantity, word = ("all of", "and") if logic == "all" else ("at least one of", "or")
    return f"Users with {quantity}: {'; '.join(parts[:-1])}; {word} {parts[-1]}"


def measure_text(value: object, rule_type: str) -> str:
    """What a rule asks for or a user has: a count, an amount (a decimal string), or days."""
    if value is None:
        return "—"
    if isinstance(value, str):
        return money_text(value)
    return counted(value, "day") if rule_type in _IN_DAYS else plain_text(value)


def reason_text(reason: str) -> str:
    """Why a request was rejected."""
    return _REASONS.get(reason) or humanised(reason)


def discount_text(discount_type: str, value: object) -> str:
    """What an offer gives: "10% off", "5.00 off each purchase", "a price of 5.00"."""
    match discount_type:
        case "percentage":
            return f"{plain_text(value)}% off"
        case "fixed_amount":
            return f"{money_text(value)} off each purchase"
        case "price_override":
            return f"a price of {money_text(value)}"
    return f"{humanised(discount_type)} {money_text(value)}"


def window_text(starts_at: datetime | None, ends_at: datetime | None) -> str:
    """When an offer can be used."""
    if starts_at is None:
        return f"until {moment_text(ends_at)}" if ends_at else "at any time"
    start = f"from {moment_text(starts_at)}"
    return f"{start} until {moment_text(ends_at)}" if ends_at else f"{start}, with no end"


def limits_text(per_user: int | None, total: int | None) -> str:
    """How often an offer can be used."""
    if per_user is None and total is None:
        return "as often as anybody likes"
    parts = []
    if per_user is not None:
        parts.append(f"at most {counted(per_user, 'time')} by each user")
    if total is not None:
        parts.append(f"at most {counted(total, 'time')} in all")
    return " and ".join(parts)


def terms_sentence(offer: OfferDraft | OfferSummary) -> str:
    """An offer's terms in one sentence: what it gives on which products, when and how often."""
    given = discount_text(offer.discount_type, offer.discount_value)
    window = window_text(offer.starts_at, offer.ends_at)
    often = limits_text(offer.per_user_limit, offer.total_usage_limit)
    return sentence_of_terms(given, offer.apply_to, window, often)


def sentence_of_terms(given: str, apply_to: str, window: str, often: str) -> str:
    """Terms that are in words already, in one sentence."""
    products = "every product" if apply_to == "all" else "chosen products"
    return f"{given[:1].upper()}{given[1:]} on {products}, {window}; {often}."


def audience_text(allow_all: bool, users: int, roles: Iterable[str]) -> str:
    """To whom an offer is open, its rules aside."""
    if allow_all:
        return "Open to everybody"
    parts = [counted(users, "chosen user")] if users else []
    parts += [f"holders of the role {role}" for role in roles]
    return f"Open only to {listed(parts, 'and')}" if parts else "Open to nobody: no users and no roles are chosen"


def _account_age(params: Params) -> str:
    return f"an account at most {counted(_param(params, 'account_age_days'), 'day')} old"


def _recency(_: Params) -> str:
    return "a transaction"


def _spent(params: Params) -> str:
    return f"at least {money_text(_param(params, 'amount'))} spent"


def _active_days(params: Params) -> str:
    return f"transactions on at least {counted(_param(params, 'count'), 'different day')}"


def _at_least(noun: str) -> Callable[[Params], str]:
    return lambda params: f"at least {counted(_param(params, 'count'), noun)}"


_SENTENCES: Final[dict[str, Callable[[Params], str]]] = {
    "new_user": _account_age,
    "min_topups": _at_least("topup"),
    "min_transactions": _at_least("transaction"),
    "min_spent": _spent,
    "operator_topup_count": _at_least("topup"),
    "operator_spent": _spent,
    "active_days": _active_days,
    "last_active_within": _recency,
}
_TOLD_LAST: Final = ("operator_id", "window_days")
_NEED_OPERATOR: Final = frozenset({"operator_topup_count", "operator_spent"})
_NEED_WINDOW: Final = frozenset({"last_active_within"})
_IN_DAYS: Final = frozenset({"new_user", "last_active_within"})


def _by_schema(rule_type: str, params: Params) -> str:
    titles = _titles(rule_type)
    told = [
        f"{titles.get(name, humanised(name)).lower()} {plain_text(value)}"
        for name, value in params.items()
        if name not in _TOLD_LAST and value not in (None, "")
    ]
    words = humanised(rule_type).lower()
    return f"{words} ({', '.join(told)})" if told else words


@cache
def _titles(rule_type: str) -> dict[str, str]:
    """The titles that a kind of rule's JSON Schema gives its parameters."""
    schema = json_schema()
    branch = schema["discriminator"]["mapping"].get(rule_type)
    if branch is None:
        return {}
    params = _resolved(schema, schema["$defs"][branch.rpartition("/")[2]]["properties"]["params"])
    return {name: part["title"] for name, part in params.get("properties", {}).items() if "title" in part}


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = part.get("$ref")
    found: Mapping[str, Any] = schema["$defs"][reference.rpartition("/")[2]] if reference else part
    return found


def _on_operator(rule_type: str, params: Params, operators: Operators) -> str:
    given = params.get("operator_id")
    if given in (None, ""):
        return f" on {BLANK}" if rule_type in _NEED_OPERATOR else ""
    try:
        operator = given if isinstance(given, UUID) else UUID(str(given))
    except ValueError:
        return f" on {BLANK}"
    return f" on {operators.get(operator) or f'operator {operator}'}"


def _in_window(rule_type: str, params: Params) -> str:
    days = params.get("window_days")
    if days in (None, ""):
        return f" in the last {BLANK} days" if rule_type in _NEED_WINDOW else ""
    return " in the last day" if str(days) == "1" else f" in the last {counted(days, 'day')}"


def _type_and_params(rule: AnyForm) -> tuple[str, Params]:
    if isinstance(rule, Mapping):
        return str(rule.get("rule_type", "")), rule.get("params") or {}
    if isinstance(rule, StoredRule):
        return rule.rule_type, rule.params
    return rule.rule_type, rule.params.model_dump()


def _enabled(rule: AnyForm) -> bool:
    return rule.get("enabled") is not False if isinstance(rule, Mapping) else rule.enabled


def _param(params: Params, name: str) -> object:
    value = params.get(name)
    return BLANK if value in (None, "") else value
