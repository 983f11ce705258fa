"""The segments.changed events of a batch's changes, stored with them so that none is lost."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from services.segmenter.membership import Changes, Pair
from services.segmenter.validity import ALWAYS
from shared.clock import from_us
from shared.database import Connection
from shared.events.fields import Message
from shared.events.segments_changed import SegmentChanged
from shared.outbox import add_to_outbox
from shared.topics import SEGMENTS_CHANGED

SEGMENT_IDS: Final = UUID("b7c1f0a4-1d2e-4e8b-9c3a-5a6e7d8f9b03")
"""Namespace of segment event ids: one offer, user and instant of change make one event."""


def _entered(pair: Pair, valid_until_us: int, now: datetime) -> SegmentChanged:
    offer_id, user_id = pair
    return SegmentChanged(
        event_id=uuid5(SEGMENT_IDS, f"entered:{offer_id}:{user_id}:{now.isoformat()}"),
        type="segment.entered",
        offer_id=offer_id,
        user_id=user_id,
        valid_until=None if valid_until_us == ALWAYS else from_us(valid_until_us),
        occurred_at=now,
    )


def _left(pair: Pair, ended_us: int) -> SegmentChanged:
    offer_id, user_id = pair
    ended = from_us(ended_us)
    return SegmentChanged(
        event_id=uuid5(SEGMENT_IDS, f"left:{offer_id}:{user_id}:{ended.isoformat()}"),
        type="segment.left",
        offer_id=offer_id,
        user_id=user_id,
        valid_until=ended,
        occurred_at=ended,
    )


async def announce(connection: Connection, changes: Changes, now: datetime) -> None:
    """Store the events of these changes in the caller's transaction."""
    await announce_departures(connection, changes.departed)
    entries: list[tuple[str, UUID, Message]] = [
        (SEGMENTS_CHANGED, pair[1], _entered(pair, valid_until_us, now)) for pair, valid_until_us in changes.entered
    ]
    await add_to_outbox(connection, entries)


async def announce_departures(connection: Connection, departed: Iterable[tuple[Pair, int]]) -> None:
    """Store the events of memberships that ended, each at its own microsecond since 1970."""
    messages: list[tuple[str, UUID, Message]] = [
        (SEGMENTS_CHANGED, pair[1], _left(pair, ended_us)) for pair, ended_us in departed
    ]
    await add_to_outbox(connection, messages)
