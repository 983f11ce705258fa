"""Why a purchase of a user would be rejected at an instant, as far as the offer and the user decide it. Pure.

The order is the contract's (`reason` of a reply), without what the purchase decides: its product and quantity.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.events.redemption_replies import Reason


def first_reason(offer: Mapping[str, Any], at: datetime) -> Reason | None:
    """The first reason to reject; None if there is none. The offer is a row of `judge_offers`."""
    return _closed(offer, at) or _refused(offer)


def _closed(offer: Mapping[str, Any], at: datetime) -> Reason | None:
    if offer["status"] != "active":
        return "offer_inactive"
    if offer["starts_at"] is not None and at < offer["starts_at"]:
        return "offer_not_started"
    if offer["ends_at"] is not None and at >= offer["ends_at"]:
        return "offer_ended"
    return None


def _refused(offer: Mapping[str, Any]) -> Reason | None:
    if not offer["allowed"]:
        return "user_not_allowed"
    if not offer["eligible"]:
        return "not_eligible"
    if offer["per_user_limit"] is not None and offer["uses"] >= offer["per_user_limit"]:
        return "per_user_limit_reached"
    if offer["total_usage_limit"] is not None and offer["usage_count"] >= offer["total_usage_limit"]:
        return "offer_exhausted"
    return None
