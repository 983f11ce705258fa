"""Reads an offer's figures, each answer as of one instant."""

from datetime import datetime
from typing import Final
from uuid import UUID

from asyncpg import Record

from services.admin.insight.figures import (
    MemberCount,
    OutcomeCount,
    Span,
    member_points,
    midnight,
    outcome_point,
    outcome_points,
    reasons_of,
    span_of,
)
from services.admin.insight.models import Bucket, Figures, Insight, Rebuild, Totals
from shared.database import Connection, Pool
from shared.sqlfile import load_queries

queries: Final = load_queries(__file__)

MEMBERS_EXACT_MAX: Final = 20_000
"""Up to so many members are counted whenever somebody looks; of more, the last count of the background is told."""


async def load_figures(pool: Pool, offer_id: UUID) -> Figures | None:
    """What changes while somebody looks; None if there is no such offer."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        standing = await connection.fetchrow(queries.load_standing, offer_id, MEMBERS_EXACT_MAX)
        return await _figures(connection, offer_id, standing) if standing else None


async def load_insight(pool: Pool, offer_id: UUID, hours: int) -> Insight | None:
    """The figures and the series of the last hours; None if there is no such offer."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        standing = await connection.fetchrow(queries.load_standing, offer_id, MEMBERS_EXACT_MAX)
        if standing is None:
            return None
        figures = await _figures(connection, offer_id, standing)
        span = span_of(hours, standing["now"])
        outcomes = outcome_points(span, await _outcomes(connection, offer_id, span.first, span.bucket))
        members = member_points(span, await _member_counts(connection, offer_id, span), figures.totals.members)
    return Insight(
        **dict(figures),
        hours=hours,
        bucket=span.bucket,
        outcomes=outcomes,
        reasons=reasons_of(outcomes),
        members=members,
    )


async def _figures(connection: Connection, offer_id: UUID, standing: Record) -> Figures:
    now: datetime = standing["now"]
    today = await _outcomes(connection, offer_id, midnight(now), "hour")
    this_hour = span_of(1, now).first
    day = outcome_point(midnight(now), today)
    is_exact = standing["members_exact"] <= MEMBERS_EXACT_MAX
    return Figures(
        offer_id=offer_id,
        status=standing["status"],
        version=standing["version"],
        counted_until=standing["counted_until"],
        totals=Totals(
            used=standing["used"],
            usage_limit=standing["usage_limit"],
            discount_given=standing["discount_given"],
            members=standing["members_exact"] if is_exact else _counted(standing),
            members_counted_at=None if is_exact else standing["members_counted_at"],
            accepted_today=day.accepted,
            rejected_today=sum(day.rejected.values()),
            revoked_today=day.revoked,
        ),
        rebuild=_rebuild(standing) if standing["is_rebuilding"] else None,
        hour=outcome_point(this_hour, [count for count in today if count.at == this_hour]),
        day=day,
    )


def _counted(standing: Record) -> int:
    """The last count, unless so many more have entered since that it can't be right."""
    counted: int = standing["members_counted"]
    at_least: int = standing["members_exact"]
    return max(counted, at_least)


def _rebuild(standing: Record) -> Rebuild:
    # The total is estimated when a rebuild begins; more users may have come by its end.
    done = standing["users_done"]
    return Rebuild(users_done=done, users_total=max(done, standing["users_total"]))


async def _outcomes(connection: Connection, offer_id: UUID, since: datetime, bucket: Bucket) -> list[OutcomeCount]:
    rows = await connection.fetch(queries.load_outcomes, offer_id, since, bucket)
    return [OutcomeCount(*row) for row in rows]


async def _member_counts(connection: Connection, offer_id: UUID, span: Span) -> list[MemberCount]:
    rows = await connection.fetch(queries.load_member_counts, offer_id, span.first)
    return [MemberCount(*row) for row in rows]
