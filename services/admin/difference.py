"""What differs between two contents of an offer, in words a person compares. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.admin.content import FIELDS, Content
from services.admin.phrases import humanised, moment_text, money_text, plain_text
from services.admin.wording import discount_text, rule_sentence

Operators = Mapping[UUID, str]

LABELS: Final[Mapping[str, str]] = {
    "per_user_limit": "Uses by one user",
    "total_usage_limit": "Uses in all",
    "starts_at": "Starts",
    "ends_at": "Ends",
    "apply_to": "Applies to",
    "allow_all": "Open to",
    "allowed_roles": "Roles",
    "eligibility_logic": "Rules combine by",
}
_EMPTY: Final[Mapping[str, str]] = {
    "per_user_limit": "unlimited",
    "total_usage_limit": "unlimited",
    "starts_at": "at once",
    "ends_at": "never",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that changes; None on the side where it does not exist."""

    label: str
    before: str | None
    after: str | None


def differences(before: Content, after: Content, operators: Operators) -> list[Difference]:
    """Everything that changes, in the order people read an offer."""
    found = []
    for name in FIELDS:
        if name == "rules":
            found += _rules(before[name], after[name], operators)
        elif name == "products":
            found += _products(before[name], after[name])
        elif before[name] != after[name] and name != "discount_type":
            found.append(Difference(LABELS.get(name) or humanised(name), _text(before, name), _text(after, name)))
        elif (
            name == "discount_type"
            and before[name] != after[name]
            and before["discount_value"] == after["discount_value"]
        ):
            found.append(Difference("Discount", _discount(before), _discount(after)))
    return found


def _text(content: Content, name: str) -> str:
    value = content[name]
    match name:
        case _ if value in (None, "", []):
            return _EMPTY.get(name, "nothing")
        case "discount_value":
            return _discount(content)
        case "starts_at" | "ends_at":
            return moment_text(datetime.fromisoformat(value))
        case "apply_to":
            return "every product" if value == "all" else "chosen products"
        case "allow_all":
            return "everybody" if value else "chosen users and roles"
        case "eligibility_logic":
            return "AND: every rule" if value == "all" else "OR: at least one rule"
        case "allowed_roles":
            return ", ".join(value)
    return plain_text(value) if isinstance(value, int) else str(value)


def _discount(content: Content) -> str:
    return discount_text(content["discount_type"], content["discount_value"])


def _products(before: list[Any], after: list[Any]) -> list[Difference]:
    old, new = (
        {(p["operator_product_id"], p["supplier_product_mapping_id"]): p for p in side} for side in (before, after)
    )
    return [
        Difference("Product", _product(old.get(key)), _product(new.get(key)))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _product(product: Mapping[str, Any] | None) -> str | None:
    if product is None:
        return None
    named = [
        f"{label} {product[name]}"
        for name, label in (("operator_product_id", "product"), ("supplier_product_mapping_id", "mapping"))
        if product[name]
    ]
    terms = []
    if product["price_override"] is not None:
        terms.append(f"at {money_text(product['price_override'])}")
    if product["max_quantity_per_purchase"] is not None:
        terms.append(f"at most {product['max_quantity_per_purchase']} a purchase")
    return ", ".join([" and ".join(named), *terms])


def _rules(before: list[Any], after: list[Any], operators: Operators) -> list[Difference]:
    old, new = ({rule["rule_key"]: rule for rule in side} for side in (before, after))
    found = [
        Difference("Rule", _rule(old.get(key), operators), _rule(new.get(key), operators))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]
    kept_before, kept_after = [key for key in old if key in new], [key for key in new if key in old]
    if kept_before != kept_after:
        found.append(Difference("Order of the rules", ", ".join(kept_before), ", ".join(kept_after)))
    return found


def _rule(rule: Mapping[str, Any] | None, operators: Operators) -> str | None:
    if rule is None:
        return None
    asked = rule_sentence(rule["rule_type"], rule["params"], operators)
    note = f" ({rule['description']})" if rule["description"] else ""
    return f"{asked}{note}{'' if rule['enabled'] else ', switched off'}"
