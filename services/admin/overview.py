"""An offer as its own page tells it, which must not read a list of thousands of users to say how many they are."""

from typing import Final
from uuid import UUID

from services.admin.models import Member, OfferSummary, Product, StoredRule
from shared.database import Pool
from shared.sqlfile import load_queries

PRODUCTS_SHOWN: Final = 20

_queries: Final = load_queries(__file__, "overview.sql")


class Overview(OfferSummary):
    """An offer with what fits on a page of its lists."""

    products: list[Product]
    products_total: int
    allowed_users_total: int
    allowed_roles: list[str]
    rules: list[StoredRule]

    @property
    def keeps_members(self) -> bool:
        """Whether the users it is for are kept: of an offer in use that has rules."""
        return self.status in ("active", "paused") and bool(self.rules)


async def load_overview(pool: Pool, offer_id: UUID) -> Overview | None:
    """The offer; None if there is no such offer."""
    row = await pool.fetchrow(_queries.load_overview, offer_id, PRODUCTS_SHOWN)
    return Overview.model_validate(dict(row)) if row else None


async def find_member(pool: Pool, offer_id: UUID, user_id: UUID) -> Member | None:
    """The user's membership; None if there is none now."""
    row = await pool.fetchrow(_queries.find_member, offer_id, user_id)
    return Member.model_validate(dict(row)) if row else None
