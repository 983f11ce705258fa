"""Recomputes an offer's members in chunks of users, beside live traffic and across restarts.

Progress stands in offer_segment_rebuilds; each chunk is one transaction that holds the rows of the rebuilds
it carries on, so any number of workers can take part and a killed one leaves nothing half done. Rebuilds
asked for together go through the users together: each user's history is read once for all of them. While a
rebuild is under way redemptions are right all the same: a row of older rules counts for nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from asyncpg import Record

from services.segmenter.evaluation import Evaluator
from services.segmenter.membership import EXTEND_ALL_US
from services.segmenter.store import lock_users, queries
from shared.database import Connection, Pool
from shared.events.audit_events import AuditEvent
from shared.outbox import OutboxRelay, add_to_outbox
from shared.telemetry import get_logger
from shared.topics import AUDIT_EVENTS

CHUNK_USERS: Final = 2_000
CHUNK_PAIRS: Final = 100_000
LOOK_S: Final = 2.0
REBUILD_IDS: Final = UUID("3e5d7c9b-2f4a-4b6c-8d1e-9f0a1b2c3d04")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far rebuilds that go on together are, in users."""

    offer_ids: Sequence[UUID]
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


async def rebuild_chunk(
    pool: Pool, chunk_users: int = CHUNK_USERS, evaluator: Evaluator | None = None
) -> Progress | None:
    """Do the next chunk of the oldest rebuild nobody else is at work on, and of all those at the same place.

    Takes at most `chunk_users` users, fewer for many offers. Returns None if there is nothing to do.
    """
    async with pool.acquire() as connection, connection.transaction():
        group = await connection.fetch(queries.claim_rebuilds)
        if not group:
            return None
        first = group[0]
        if first["after_user_id"] is None:
            await connection.execute(queries.wait_for_batches)
            await connection.execute(queries.let_batches_go_on)
        chunk_users = max(1, min(chunk_users, CHUNK_PAIRS // len(group)))
        query = queries.next_users if first["live"] else queries.next_members
        arguments = [first["after_user_id"], chunk_users] + ([] if first["live"] else [first["offer_id"]])
        ids = [row["id"] for row in await connection.fetch(query, *arguments)]
        if not ids:
            return await _finish(connection, group)
        return await _advance(connection, group, ids, evaluator or Evaluator())


async def _advance(connection: Connection, group: list[Record], ids: list[UUID], evaluator: Evaluator) -> Progress:
    offer_ids = [rebuild["offer_id"] for rebuild in group]
    users = await lock_users(connection, ids)
    changes = await evaluator.update(connection, users, offer_ids=offer_ids, extend_within_us=EXTEND_ALL_US)
    entered = Counter(pair[0] for pair, _ in changes.entered)
    departed = Counter(pair[0] for pair, _ in changes.departed)
    await connection.execute(
        queries.advance_rebuilds,
        ids[-1],
        len(ids),
        offer_ids,
        [entered[offer_id] for offer_id in offer_ids],
        [departed[offer_id] for offer_id in offer_ids],
    )
    done = group[0]["users_done"] + len(ids)
    return Progress(offer_ids, done, max(done, group[0]["users_total"]), finished=False)


async def _finish(connection: Connection, group: list[Record]) -> Progress:
    offer_ids = [rebuild["offer_id"] for rebuild in group]
    rows = await connection.fetch(queries.finish_rebuilds, offer_ids)
    events = [(row["offer_id"], _rebuilt(row).model_dump_json()) for row in rows]
    await add_to_outbox(connection, AUDIT_EVENTS, events)
    done = group[0]["users_done"]
    return Progress(offer_ids, done, done, finished=True)


def _rebuilt(row: Record) -> AuditEvent:
    offer_id = row["offer_id"]
    return AuditEvent(
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


class Rebuilder:
    """Takes part in rebuilds whenever there are any."""

    def __init__(self, pool: Pool, evaluator: Evaluator, relay: OutboxRelay) -> None:
        self._pool = pool
        self._evaluator = evaluator
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
                while await rebuild_chunk(self._pool, evaluator=self._evaluator) is not None:
                    self._relay.wake()
            except Exception:
                log.exception("rebuild interrupted", action="rebuild.failed")
            try:
                await asyncio.wait_for(self._wake.wait(), timeout=LOOK_S)
            except TimeoutError:
                continue
            self._wake.clear()
