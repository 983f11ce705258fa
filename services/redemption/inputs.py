"""What a decision rested on beside its request, as it is kept and as audit tells it. Pure.

A purchase's inputs name the version of the offer's definition, which `offer_definitions` keeps; they are written
by hand because one is written for every decision.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from services.redemption.decision import Standing, Uses
from services.redemption.records import Redemption

NO_OFFER: Final = '{"offer":null}'
NO_REDEMPTION: Final = '{"redemption":null}'


@dataclass(frozen=True, slots=True)
class JudgedOffer:
    """The version of the offer, how the user stood towards it, and the uses standing then."""

    definition_version: int
    allowed: bool
    eligible: bool
    uses: int
    usage_count: int


@dataclass(frozen=True, slots=True)
class PurchaseInputs:
    """What a purchase was judged by; `offer` is None if there was none."""

    offer: JudgedOffer | None


@dataclass(frozen=True, slots=True)
class FoundRedemption:
    """The redemption a revoke found."""

    id: UUID
    offer_id: UUID
    user_id: UUID
    price_paid: Decimal
    discount_amount: Decimal
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class RevokeInputs:
    """What a revoke was judged by; `redemption` is None if there was none."""

    redemption: FoundRedemption | None


PURCHASE_INPUTS: Final = TypeAdapter(PurchaseInputs)
REVOKE_INPUTS: Final = TypeAdapter(RevokeInputs)


def purchase_inputs(definition_version: int, standing: Standing, uses: Uses) -> str:
    """What a purchase is judged by, as JSON of PurchaseInputs."""
    return (
        f'{{"offer":{{"definition_version":{definition_version},"allowed":{"true" if standing.allowed else "false"},'
        f'"eligible":{"true" if standing.eligible else "false"},"uses":{uses.by_user},"usage_count":{uses.total}}}}}'
    )


def revoke_inputs(redemption: Redemption | None) -> str:
    """What a revoke is judged by, as JSON of RevokeInputs."""
    if redemption is None:
        return NO_REDEMPTION
    found = {
        "id": redemption.id,
        "offer_id": redemption.offer_id,
        "user_id": redemption.user_id,
        "price_paid": redemption.price_paid,
        "discount_amount": redemption.discount_amount,
        "revoked_at": redemption.revoked_at,
    }
    return orjson.dumps({"redemption": found}, default=str, option=orjson.OPT_UTC_Z).decode()
