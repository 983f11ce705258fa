"""The sample's offers as the admin API takes them: every rule type, both logics, limits and discounts."""

from datetime import datetime, timedelta
from typing import Any, Final

from deploy.sample.campaign import Campaign
from shared.events.fields import rfc3339

Draft = dict[str, Any]
"""The JSON body of POST /api/offers."""

UNPUBLISHED: Final = "SOON30"
UNKNOWN: Final = "SUMMER99"
WEIGHTS: Final = {
    "WELCOME10": 20,
    "LOYAL5": 18,
    "BIG15": 16,
    "MTN8": 14,
    "BACK12": 12,
    "TRADE20": 8,
    "FLASH50": 8,
    UNPUBLISHED: 2,
    UNKNOWN: 2,
}
"""How often checkouts try which code."""


def drafts(campaign: Campaign, now: datetime) -> list[Draft]:
    """Every offer of the campaign; all but UNPUBLISHED are to be published."""
    mtn, airtel, *_ = map(str, campaign.operators.values())
    return [
        _offer("WELCOME10", "10 % for new accounts", "percentage", "10.00", per_user_limit=1)
        | {"rules": [_rule("new_user", account_age_days=30)]},
        _offer("LOYAL5", "5.00 off for regulars", "fixed_amount", "5.00", per_user_limit=2)
        | {
            "rules": [
                _rule("min_topups", count=5, window_days=45),
                _rule("active_days", count=4, window_days=45),
            ]
        },
        _offer("BIG15", "15 % for big spenders", "percentage", "15.00", per_user_limit=3)
        | {
            "eligibility_logic": "any",
            "rules": [
                _rule("min_spent", amount="400.00", window_days=60),
                _rule("operator_spent", operator_id=airtel, amount="150.00", window_days=30),
            ],
        },
        _offer("MTN8", "Data packs on MTN at a fixed price", "price_override", "8.00")
        | {
            "apply_to": "products",
            "products": _packs(campaign),
            "rules": [_rule("operator_topup_count", operator_id=mtn, count=2)],
        },
        _offer("BACK12", "12 % to keep you with us", "percentage", "12.00", per_user_limit=2)
        | {
            "ends_at": rfc3339(now + timedelta(days=30)),
            "rules": [_rule("last_active_within", window_days=14), _rule("min_transactions", count=8)],
        },
        _offer("TRADE20", "20 % for resellers", "percentage", "20.00")
        | {
            "allow_all": False,
            "allowed_roles": ["reseller"],
            "allowed_users": [str(user.user_id) for user in campaign.users[:5]],
        },
        _offer("FLASH50", "50 % for the first fifty", "percentage", "50.00", total_usage_limit=50),
        _offer(UNPUBLISHED, "Not yet on sale", "percentage", "30.00"),
    ]


def _offer(code: str, title: str, discount_type: str, discount_value: str, **limits: int) -> Draft:
    return {"code": code, "title": title, "discount_type": discount_type, "discount_value": discount_value, **limits}


def _rule(rule_type: str, **params: object) -> Draft:
    return {"rule_key": rule_type.replace("_", "-"), "rule_type": rule_type, "params": params}


def _packs(campaign: Campaign) -> list[Draft]:
    """The first operator's products: one at the offer's price and two at a time, one at its own price."""
    small, large = map(str, campaign.products[:2])
    return [
        {"operator_product_id": small, "max_quantity_per_purchase": 2},
        {"operator_product_id": large, "price_override": "14.50"},
    ]
