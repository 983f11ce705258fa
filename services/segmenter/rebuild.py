"""Recomputes an offer's members in chunks of users, beside live traffic and across restarts.

Progress stands in offer_segment_rebuilds; each chunk is one transaction that holds the row, so any number
of workers can take part and a killed one leaves nothing half done. While a rebuild is under way
redemptions are right all the same: a row of older rules counts for nothing.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from asyncpg import Record

from services.segmenter.evaluation import evaluate_again
from services.segmenter.store import lock_users, queries
from shared.database import Connection, Pool
from shared.events.audit_events import AuditEvent
from shared.outbox import OutboxRelay, add_to_outbox
from shared.telemetry import get_logger
from shared.topics import AUDIT_EVENTS

CHUNK_USERS: Final = 5_000
LOOK_S: Final = 2.0
REBUILD_IDS: Final = UUID("3e5d7c9b-2f4a-4b6c-8d1e-9f0a1b2c3d04")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the rebuild of one offer is, in users."""

    offer_id: UUID
    users_done: int
    users_total: int
    finished: bool


async def request_rebuilds(
    pool: Pool, offer_ids: Iterable[UUID] | None = None, *, even_if_current: bool = False
) -> list[UUID]:
    """Open a rebuild for each offer (all, or those given) whose members its present rules didn't build.

    With `even_if_current`, for the others that keep members as well. Returns the offers concerned.
    """
    ids = None if offer_ids is None else sorted(offer_ids)
    rows = await pool.fetch(queries.open_rebuilds, ids, even_if_current)
    return [row["offer_id"] for row in rows]


async def rebuild_chunk(pool: Pool, chunk_users: int = CHUNK_USERS) -> Progress | None:
    """Do the next chunk of the oldest rebuild nobody else is at work on; None if there is none."""
    async with pool.acquire() as connection, connection.transaction():
        rebuild = await connection.fetchrow(queries.claim_rebuild)
        if rebuild is None:
            return None
        if rebuild["after_user_id"] is None:
            await connection.execute(queries.wait_for_batches)
            await connection.execute(queries.let_batches_go_on)
        query = queries.next_users if rebuild["live"] else queries.next_members
        arguments = [rebuild["after_user_id"], chunk_users] + ([] if rebuild["live"] else [rebuild["offer_id"]])
        ids = [row["id"] for row in await connection.fetch(query, *arguments)]
        if not ids:
            return await _finish(connection, rebuild)
        return await _advance(connection, rebuild, ids)


async def _advance(connection: Connection, rebuild: Record, ids: list[UUID]) -> Progress:
    offer_id = rebuild["offer_id"]
    await lock_users(connection, ids)
    changes = await evaluate_again(connection, ids, offer_id)
    await connection.execute(
        queries.advance_rebuild, offer_id, ids[-1], len(ids), len(changes.entered), len(changes.departed)
    )
    done = rebuild["users_done"] + len(ids)
    return Progress(offer_id, done, max(done, rebuild["users_total"]), finished=False)


async def _finish(connection: Connection, rebuild: Record) -> Progress:
    offer_id = rebuild["offer_id"]
    row = await connection.fetchrow(queries.finish_rebuild, offer_id)
    assert row is not None
    event = AuditEvent(
        event_id=uuid5(REBUILD_IDS, f"{offer_id}:{row['requested_at'].isoformat()}"),
        type="segment.rebuilt",
        actor="segmenter",
        entity_type="offer",
        entity_id=offer_id,
        offer_id=offer_id,
        occurred_at=row["finished_at"],
        data={
            "rules_version": row["rules_version"],
            "users": row["users_done"],
            "entered": row["entered"],
            "left": row["members_left"],
        },
    )
    await add_to_outbox(connection, [(AUDIT_EVENTS, offer_id, event)])
    return Progress(offer_id, row["users_done"], row["users_done"], finished=True)


class Rebuilder:
    """Takes part in rebuilds whenever there are any."""

    def __init__(self, pool: Pool, relay: OutboxRelay) -> None:
        self._pool = pool
        self._relay = relay
        self._wake = asyncio.Event()

    async def request(self, offer_ids: Iterable[UUID]) -> None:
        """Have these offers rebuilt, where their rules changed."""
        await request_rebuilds(self._pool, offer_ids)
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; every few seconds look for offers changed without an event as well."""
        while True:
            try:
                await request_rebuilds(self._pool)
                while await rebuild_chunk(self._pool) is not None:
                    self._relay.wake()
            except Exception:
                log.exception("rebuild interrupted", action="rebuild.failed")
            try:
                await asyncio.wait_for(self._wake.wait(), timeout=LOOK_S)
            except TimeoutError:
                continue
            self._wake.clear()
