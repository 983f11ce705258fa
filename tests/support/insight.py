"""Decisions written by hand, and the counts made of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from services.admin.insight.counting import DecisionCounter
from shared.database import Connection, Pool

NOON: Final = datetime(2026, 3, 4, 12, tzinfo=UTC)
COUNTS: Final = """
SELECT to_char(hour AT TIME ZONE 'UTC', 'DD HH24:MI'), command, status, reason, decisions, discount::text
FROM offer_decision_counts WHERE offer_id = $1 ORDER BY hour, command, status, reason
"""
ACCEPTED: Final = ("redeem", "accepted", None)
REVOKED: Final = ("revoke", "accepted", None)
Kind = tuple[str, str, str | None]


async def add_decisions(
    pool: Pool | Connection,
    offer_id: UUID | None,
    kind: Kind,
    at: datetime,
    count: int = 1,
    discount: str | None = "10.00",
) -> None:
    """So many equal decisions of an instant."""
    command, status, reason = kind
    reply = f'{{"discount_amount": "{discount}"}}' if discount is not None else '{"discount_amount": null}'
    await pool.execute(
        "INSERT INTO redemption_decisions"
        " (request_id, content_hash, command, status, reason, offer_id, request, reply, decided_at)"
        " SELECT gen_random_uuid(), '', $1, $2, $3, $4, '{}', $5, $6 FROM generate_series(1, $7)",
        command,
        status,
        reason,
        offer_id,
        reply,
        at,
        count,
    )


def rejected(reason: str) -> Kind:
    """A redeem refused for a reason."""
    return ("redeem", "rejected", reason)


async def count_from(pool: Pool, since: datetime) -> None:
    """Say that nothing was counted since an instant."""
    await pool.execute("UPDATE insight_progress SET counted_until = $1 WHERE task = 'decisions'", since)


async def count_all(pool: Pool, since: datetime | None = None) -> None:
    """Count until there is no more to do."""
    if since is not None:
        await count_from(pool, since)
    counter = DecisionCounter(pool)
    while await counter.count():
        pass


async def counts(pool: Pool, offer_id: UUID) -> list[tuple[Any, ...]]:
    """Day and hour, command, status, reason, how many, and their discounts."""
    return [tuple(row) for row in await pool.fetch(COUNTS, offer_id)]


async def add_members(
    pool: Pool, offer_id: UUID, count: int, valid_for: timedelta | None = None, rules_version: int = 1
) -> None:
    """So many members, for ever or for some time."""
    await pool.execute(
        "INSERT INTO offer_segment_members (offer_id, user_id, valid_until, rules_version)"
        " SELECT $1, gen_random_uuid(), coalesce(now() + $3, 'infinity'), $4 FROM generate_series(1, $2)",
        offer_id,
        count,
        valid_for,
        rules_version,
    )


async def add_offers(pool: Pool, codes: Sequence[str], **columns: Any) -> dict[str, UUID]:
    """Active offers by code, the first one the newest."""
    values = {"status": "active", "total_usage_limit": None, "usage_count": 0, "starts_at": None, "ends_at": None}
    values |= columns
    ids = {code: uuid4() for code in codes}
    await pool.execute(
        "INSERT INTO offers (id, code, title, discount_type, discount_value, created_at,"
        " status, total_usage_limit, usage_count, starts_at, ends_at)"
        " SELECT n.id, n.code, n.code || ' title', 'percentage', 10, $3::timestamptz - n.place * interval '1 hour',"
        " $4, $5, $6, $7, $8 FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS n (id, code, place)",
        list(ids.values()),
        list(ids),
        NOON,
        *values.values(),
    )
    return ids
