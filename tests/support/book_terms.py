"""An offer's terms as the model of the book knows them, and their writing to the database as an edit does."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from shared.database import Pool
from tests.support.book_prices import Discount

Status = Literal["draft", "active", "paused", "archived"]


@dataclass(frozen=True, slots=True)
class Product:
    """One product the offer names; an id left open matches any."""

    product_id: UUID | None
    mapping_id: UUID | None
    own_price_cents: int | None
    quantity_max: int | None


@dataclass(frozen=True, slots=True)
class Terms:
    """All that decides about an offer but its use."""

    status: Status = "active"
    discount: Discount = "percentage"
    hundredths: int = 1_000
    per_user: int | None = None
    total: int | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    apply_to: Literal["all", "products"] = "all"
    products: tuple[Product, ...] = ()
    allow_all: bool = True
    users: frozenset[UUID] = frozenset()
    roles: frozenset[str] = frozenset()
    topups_needed: int | None = None


_INSERT: Final = """
INSERT INTO offers (id, code, title, discount_type, discount_value) VALUES ($1, $2, $2, 'percentage', 0)
"""
_UPDATE: Final = """
UPDATE offers SET status = $2, discount_type = $3, discount_value = $4, per_user_limit = $5, total_usage_limit = $6,
    starts_at = $7, ends_at = $8, apply_to = $9, allow_all = $10, version = version + 1, updated_at = now()
WHERE id = $1
"""
_PRODUCT: Final = """
INSERT INTO offer_products
    (offer_id, operator_product_id, supplier_product_mapping_id, price_override, max_quantity_per_purchase)
VALUES ($1, $2, $3, $4, $5)
"""
_RULE: Final = """
INSERT INTO offer_eligibility_rules (offer_id, rule_key, rule_type, params)
VALUES ($1, 'topups', 'min_topups', jsonb_build_object('count', $2::integer))
"""
_FORGET: Final = """
WITH products AS (DELETE FROM offer_products WHERE offer_id = $1),
    users AS (DELETE FROM offer_allowed_users WHERE offer_id = $1),
    roles AS (DELETE FROM offer_allowed_roles WHERE offer_id = $1)
DELETE FROM offer_eligibility_rules WHERE offer_id = $1
"""


def decimal(cents: int) -> Decimal:
    """Cents as the database has them."""
    return Decimal(cents).scaleb(-2)


async def create_offers(pool: Pool, codes: Mapping[UUID, str]) -> None:
    """Offers without terms."""
    await pool.executemany(_INSERT, list(codes.items()))


async def store_terms(pool: Pool, offer: UUID, terms: Terms) -> None:
    """Replace the offer's terms in one transaction."""
    async with pool.acquire() as connection, connection.transaction():
        discount = (terms.discount, decimal(terms.hundredths))
        limits = (terms.per_user, terms.total)
        window = (terms.starts_at, terms.ends_at)
        whom = (terms.apply_to, terms.allow_all)
        await connection.execute(_UPDATE, offer, terms.status, *discount, *limits, *window, *whom)
        await connection.execute(_FORGET, offer)
        for product in terms.products:
            own_price = None if product.own_price_cents is None else decimal(product.own_price_cents)
            ids = (product.product_id, product.mapping_id)
            await connection.execute(_PRODUCT, offer, *ids, own_price, product.quantity_max)
        if terms.users:
            await connection.executemany(
                "INSERT INTO offer_allowed_users VALUES ($1, $2)", [(offer, user) for user in terms.users]
            )
        if terms.roles:
            await connection.executemany(
                "INSERT INTO offer_allowed_roles VALUES ($1, $2)", [(offer, role) for role in terms.roles]
            )
        if terms.topups_needed is not None:
            await connection.execute(_RULE, offer, terms.topups_needed)
