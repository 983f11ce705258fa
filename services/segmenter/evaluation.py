"""Evaluates locked users again and writes what changed, for live batches and rebuilds alike."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.segmenter.announcements import announce
from services.segmenter.membership import Changes, changes_between
from services.segmenter.store import load_evaluated, load_members, load_offers, queries, write_members
from shared.clock import to_us
from shared.database import Connection


async def evaluate_again(connection: Connection, ids: Sequence[UUID], offer_id: UUID | None = None) -> Changes:
    """Bring the memberships of locked users up to date, in every offer or in one, and announce changes."""
    now: datetime = await connection.fetchval(queries.evaluation_time)
    users = await load_evaluated(connection, ids)
    offers = await load_offers(connection, ids, offer_id)
    stored = await load_members(connection, ids, offer_id)
    changes = changes_between(stored, offers, users, to_us(now))
    await write_members(connection, changes)
    await announce(connection, changes, now)
    return changes
