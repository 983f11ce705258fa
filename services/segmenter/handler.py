"""Batches of topups and users: store them, evaluate their users again, write what changed; one transaction.

A batch that comes again stores nothing new and finds nothing changed. Users are locked before anything
about them is read, so two batches, a rebuild and the lapse timer never evaluate one user at once.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from services.segmenter.evaluation import evaluate_again
from services.segmenter.rebuild import Rebuilder
from services.segmenter.store import ForeignTopup, lock_users, store_topups, store_users
from shared.broker import Outgoing
from shared.consuming import Received
from shared.database import Connection, Pool
from shared.events.offers_changed import OfferChanged
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.outbox import OutboxRelay

SERVICE = "segmenter"


class SegmenterHandler:
    """Keeps read models and memberships current."""

    def __init__(self, pool: Pool, relay: OutboxRelay, rebuilder: Rebuilder) -> None:
        self._pool = pool
        self._relay = relay
        self._rebuilder = rebuilder

    async def topups(self, received: Sequence[Received[TopupEvent]]) -> list[Outgoing]:
        """Apply a batch of topup events."""
        events = newest_topups(item.message for item in received)
        await self._apply({event.user_id for event in events}, lambda connection: store_topups(connection, events))
        return []

    async def users(self, received: Sequence[Received[UserEvent]]) -> list[Outgoing]:
        """Apply a batch of user events."""
        events = newest_users(item.message for item in received)
        await self._apply({event.user_id for event in events}, lambda connection: store_users(connection, events))
        return []

    async def offers_changed(self, received: Sequence[Received[OfferChanged]]) -> list[Outgoing]:
        """Have the members of changed offers rebuilt, where the change concerns them."""
        await self._rebuilder.request({item.message.offer_id for item in received})
        return []

    async def _apply(self, users: Iterable[UUID], store: Callable[[Connection], Awaitable[None]]) -> None:
        ids = sorted(users)
        async with self._pool.acquire() as connection, connection.transaction():
            await lock_users(connection, ids)
            await store(connection)
            changes = await evaluate_again(connection, ids)
        if changes.entered or changes.departed:
            self._relay.wake()


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
