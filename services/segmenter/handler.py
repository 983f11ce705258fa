"""Batches of topups and users: store them, evaluate their users again, write what changed; one transaction.

A batch that comes again stores nothing new and finds nothing changed. Users are locked before anything
about them is read, so two batches, a rebuild and the lapse timer never evaluate one user at once.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.segmenter.catalogue import PROFILE, Aspect
from services.segmenter.evaluation import ANYTHING, Evaluator, Touched
from services.segmenter.lapse import Postponed
from services.segmenter.membership import Changes, StoredMembers
from services.segmenter.rebuild import Rebuilder
from services.segmenter.store import ForeignTopup, LockedUsers, load_members, lock_users, store_topups, store_users
from shared.batches import Received
from shared.broker import Outgoing
from shared.clock import to_us
from shared.database import Connection, Pool
from shared.events.offers_changed import OfferChanged
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.outbox import OutboxRelay

SERVICE = "segmenter"


class SegmenterHandler:
    """Keeps read models and memberships current."""

    def __init__(
        self, pool: Pool, evaluator: Evaluator, postponed: Postponed, rebuilder: Rebuilder, relay: OutboxRelay
    ) -> None:
        self._pool = pool
        self._evaluator = evaluator
        self._postponed = postponed
        self._rebuilder = rebuilder
        self._relay = relay

    async def topups(self, received: Sequence[Received[TopupEvent]]) -> list[Outgoing]:
        """Apply a batch of topup events."""
        events = newest_topups(item.message for item in received)
        await self._apply({event.user_id for event in events}, lambda connection: _store_topups(connection, events))
        return []

    async def users(self, received: Sequence[Received[UserEvent]]) -> list[Outgoing]:
        """Apply a batch of user events."""
        events = newest_users(item.message for item in received)
        await self._apply({event.user_id for event in events}, lambda connection: _store_users(connection, events))
        return []

    async def offers_changed(self, received: Sequence[Received[OfferChanged]]) -> list[Outgoing]:
        """Have the members of changed offers rebuilt, where the change concerns them."""
        await self._rebuilder.request({item.message.offer_id for item in received})
        return []

    async def _apply(self, ids: Collection[UUID], store: Callable[[Connection], Awaitable[Touched | None]]) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            users = await lock_users(connection, ids)
            members, ended = await self._settle(connection, users)
            touched = await store(connection)
            changes = Changes()
            if touched is not None:
                if touched.profiles:
                    users = replace(await lock_users(connection, ids), now=users.now)
                changes = await self._evaluator.update(connection, users, touched=touched, members=members)
        self._postponed.note(len(ids), changes.postponed)
        if ended or changes.entered or changes.departed:
            self._relay.wake()

    async def _settle(self, connection: Connection, users: LockedUsers) -> tuple[StoredMembers, bool]:
        """The users' rows, and whether some had come to their end unnoticed: these end before anything new counts."""
        members = await load_members(connection, users.ids)
        lapsed = members.lapsed_users(to_us(users.now))
        if not lapsed:
            return members, False
        await self._evaluator.update(connection, users.only(lapsed))
        return await load_members(connection, users.ids), True


async def _store_topups(connection: Connection, events: Sequence[TopupEvent]) -> Touched | None:
    applied, some_changed = await store_topups(connection, events)
    if some_changed:
        return ANYTHING
    aspects: set[Aspect] = set()
    for event in events:
        if event.topup_id in applied and event.status == "succeeded":
            aspects |= {"transaction", ("transaction", event.operator_id)}
            if event.kind == "topup":
                aspects |= {"topup", ("topup", event.operator_id)}
    return Touched(frozenset(aspects), only_added=True) if aspects else None


async def _store_users(connection: Connection, events: Sequence[UserEvent]) -> Touched | None:
    return Touched(frozenset((PROFILE,)), only_added=False) if await store_users(connection, events) else None


def newest_topups(events: Iterable[TopupEvent]) -> list[TopupEvent]:
    """The deciding event of each topup: a reversal if there is one, else the newest.

    Raises:
        ForeignTopup: two events give one topup to different users.
    """
    newest: dict[UUID, TopupEvent] = {}
    for event in events:
        known = newest.setdefault(event.topup_id, event)
        if known.user_id != event.user_id:
            raise ForeignTopup(f"topup {event.topup_id} belongs to another user")
        if _topup_order(event) > _topup_order(known):
            newest[event.topup_id] = event
    return list(newest.values())


def _topup_order(event: TopupEvent) -> tuple[bool, datetime, UUID]:
    return event.status == "reversed", event.occurred_at, event.event_id


def newest_users(events: Iterable[UserEvent]) -> list[UserEvent]:
    """The newest event of each user."""
    newest: dict[UUID, UserEvent] = {}
    for event in events:
        known = newest.setdefault(event.user_id, event)
        if (event.occurred_at, event.event_id) > (known.occurred_at, known.event_id):
            newest[event.user_id] = event
    return list(newest.values())
