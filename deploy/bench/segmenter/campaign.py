"""The invented offers: marketing's usual kinds, with every rule type, both logics and several windows.

Thresholds are high enough that most of the users who reach one are well above it, as in a system where
customers come and go slowly: a topup makes its user a member of one or two more offers in a hundred.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, Final
from uuid import UUID

import numpy as np

from deploy.bench.segmenter.options import SEED
from deploy.bench.segmenter.population import AMOUNT_MEAN
from shared.rules import RULE, Logic, Rule

KINDS: Final[tuple[tuple[Logic, str, str], ...]] = (
    ("all", "operator_spent", "last_active_within"),
    ("any", "min_spent", "operator_spent"),
    ("all", "min_topups", "last_active_within"),
    ("any", "min_topups", "active_days"),
    ("all", "min_spent", "active_days"),
    ("any", "operator_topup_count", "min_transactions"),
    ("all", "new_user", "min_topups"),
    ("all", "operator_topup_count", "min_transactions"),
)
TRANSACTIONS: Final = {30: 5, 90: 11, None: 14}
"""The lowest thresholds, in transactions, by window in days."""
STEPS: Final = (1.0, 1.5, 2.0, 3.0)
ANY_FACTOR: Final = 1.6
OPERATOR_SHARE: Final = 0.3
ACCOUNT_AGE_DAYS: Final = 365
ACTIVE_WITHIN_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class BenchOffer:
    """An offer as far as eligibility depends on it."""

    id: UUID
    code: str
    logic: Logic
    rules: tuple[Rule, Rule]


def invent_offers(count: int, operators: list[UUID], reserved_operator: UUID) -> list[BenchOffer]:
    """`count` offers of two rules; a first topup on the reserved operator makes a member of the first one."""
    random = np.random.default_rng(SEED + 1)
    ids = random.bytes(16 * count)
    shapes = list(product(STEPS, TRANSACTIONS, KINDS))
    offers = [_first(UUID(bytes=ids[:16]), reserved_operator)]
    for place in range(1, count):
        step, window, (logic, *types) = shapes[place % len(shapes)]
        operator = operators[int(random.integers(len(operators)))]
        threshold = TRANSACTIONS[window] * step * (ANY_FACTOR if logic == "any" else 1.0)
        first, second = (
            _rule(f"rule-{number}", rule_type, _params(rule_type, threshold, window, operator))
            for number, rule_type in enumerate(types, start=1)
        )
        id_ = UUID(bytes=ids[16 * place : 16 * place + 16])
        offers.append(BenchOffer(id_, f"BENCH-{place:04}", logic, (first, second)))
    return offers


def _first(id_: UUID, reserved_operator: UUID) -> BenchOffer:
    entry = _rule("entry", "operator_topup_count", {"operator_id": reserved_operator, "count": 1})
    return BenchOffer(id_, "BENCH-0000", "all", (entry, _rule("any-topup", "min_topups", {"count": 1})))


def _rule(key: str, rule_type: str, params: dict[str, Any]) -> Rule:
    return RULE.validate_python({"rule_key": key, "rule_type": rule_type, "params": params})


def _params(rule_type: str, transactions: float, window_days: int | None, operator_id: UUID) -> dict[str, Any]:
    count = max(1, round(transactions * (OPERATOR_SHARE if rule_type.startswith("operator") else 1.0)))
    amount = f"{count * AMOUNT_MEAN:.2f}"
    match rule_type:
        case "new_user":
            return {"account_age_days": ACCOUNT_AGE_DAYS}
        case "last_active_within":
            return {"window_days": ACTIVE_WITHIN_DAYS}
        case "min_spent":
            return {"amount": amount, "window_days": window_days}
        case "operator_spent":
            return {"amount": amount, "window_days": window_days, "operator_id": operator_id}
        case "operator_topup_count":
            return {"count": count, "window_days": window_days, "operator_id": operator_id}
        case _:
            return {"count": count, "window_days": window_days}
