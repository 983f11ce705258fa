"""The segments.changed events of a batch's changes, stored with them so that none is lost.

A rebuild announces thousands at once, so they are written as JSON without a model in between;
shared/events/segments_changed.py is their shape.
"""

from hashlib import sha1
from typing import Final
from uuid import UUID

import orjson

from services.segmenter.membership import Changes, Pair
from shared.clock import from_us
from shared.database import Connection
from shared.outbox import add_to_outbox
from shared.topics import SEGMENTS_CHANGED
from shared.validity import ALWAYS

SEGMENT_IDS: Final = UUID("b7c1f0a4-1d2e-4e8b-9c3a-5a6e7d8f9b03")
"""Namespace of segment event ids: one offer, user, type and instant of change make one event."""


async def announce(connection: Connection, changes: Changes, now_us: int) -> None:
    """Store the events of these changes in the caller's transaction: each departure at its own moment,
    entries at `now_us`; microseconds since 1970."""
    left = [_event("segment.left", pair, ended_us, ended_us) for pair, ended_us in changes.departed]
    entered = [_event("segment.entered", pair, until_us, now_us) for pair, until_us in changes.entered]
    await add_to_outbox(connection, SEGMENTS_CHANGED, left + entered)


def _event(kind: str, pair: Pair, valid_until_us: int, occurred_us: int) -> tuple[UUID, str]:
    offer_id, user_id = pair
    name = SEGMENT_IDS.bytes + kind.encode() + offer_id.bytes + user_id.bytes + occurred_us.to_bytes(8, signed=True)
    event = {
        "event_id": UUID(bytes=sha1(name, usedforsecurity=False).digest()[:16], version=5),
        "type": kind,
        "offer_id": str(offer_id),
        "user_id": str(user_id),
        "valid_until": None if valid_until_us == ALWAYS else from_us(valid_until_us),
        "occurred_at": from_us(occurred_us),
    }
    return user_id, orjson.dumps(event, option=orjson.OPT_UTC_Z).decode()
