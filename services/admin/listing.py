"""The list of offers as people look through it: filters, and beside each offer its members and today's redemptions."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from services.admin.models import DiscountType, Status
from shared.database import Pool
from shared.sqlfile import load_queries

_queries: Final = load_queries(__file__, "listing.sql")

SOON: Final = timedelta(days=7)
MEMBERS_EXACT_MAX: Final = 1_000
"""Up to so many members of an offer are counted for a page of the list."""

When = Literal["running", "ending", "scheduled", "ended"]
Usage = Literal["unused", "nearly", "used_up"]
Members = Literal["some", "none"]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which offers are wanted; None is any."""

    q: str | None = None
    status: Status | None = None
    when: When | None = None
    usage: Usage | None = None
    members: Members | None = None

    def given(self) -> dict[str, str]:
        """Those that leave something out, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ListedOffer:
    """An offer as a row of the list. `members` is at least so many where they are not known."""

    id: UUID
    code: str
    title: str
    status: Status
    discount_type: DiscountType
    discount_value: Decimal
    per_user_limit: int | None
    total_usage_limit: int | None
    usage_count: int
    starts_at: datetime | None
    ends_at: datetime | None
    created_at: datetime
    keeps_members: bool
    members: int
    members_known: bool
    accepted_today: int
    rejected_today: int

    def phase(self, now: datetime) -> When | None:
        """Where an active offer is in its time."""
        if self.status != "active":
            return None
        if self.starts_at is not None and now < self.starts_at:
            return "scheduled"
        if self.ends_at is None or now < self.ends_at - SOON:
            return "running"
        return "ending" if now < self.ends_at else "ended"


async def list_page(
    pool: Pool, filters: Filters, after: UUID | None, limit: int, members_exact_max: int = MEMBERS_EXACT_MAX
) -> list[ListedOffer]:
    """At most `limit` offers that fit, newest first, after the one `after` names."""
    rows = await pool.fetch(
        _queries.list_page,
        filters.status,
        filters.q,
        filters.when,
        SOON,
        filters.usage,
        filters.members,
        after,
        limit,
        members_exact_max,
    )
    return [ListedOffer(**row) for row in rows]


async def count_offers(pool: Pool) -> Mapping[str, int]:
    """How many offers there are of each status that occurs."""
    return {row["status"]: row["offers"] for row in await pool.fetch(_queries.count_offers)}
