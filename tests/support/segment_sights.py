"""What can be seen of segments at one instant: what the reference says, what is stored, what checkouts are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID, uuid4

import orjson

from shared.database import Pool
from shared.events.redemption_replies import Reason
from shared.events.redemption_requests import QuoteRequest, RedeemRequest
from shared.events.segments_changed import SegmentChanged
from shared.topics import SEGMENTS_CHANGED
from tests.support.deciding import redemption_handler
from tests.support.messages import received

Pair = tuple[UUID, UUID]
INFINITY: Final = datetime.max.replace(tzinfo=UTC)
"""When a membership ends that never lapses."""

_SIGHTS: Final = """
SELECT o.id AS offer_id, u.id AS user_id, o.status, o.rules_version, l.live,
    coalesce((b.rules_version, b.live) = (o.rules_version, l.live) AND b.finished_at IS NOT NULL, NOT l.live)
    AS current,
    offer_allows_user(o.id, u.id) AS allowed,
    is_user_eligible_for_offer(o.id, u.id) AS eligible,
    eligibility_valid_until(o.id, u.id) AS until,
    m.valid_until AS row_until, m.rules_version AS row_version
FROM offers AS o
CROSS JOIN unnest($1::uuid[]) AS u (id)
CROSS JOIN LATERAL (
    SELECT o.status IN ('active', 'paused')
        AND EXISTS (SELECT FROM offer_eligibility_rules AS r WHERE r.offer_id = o.id) AS live
) AS l
LEFT JOIN offer_segment_rebuilds AS b ON b.offer_id = o.id
LEFT JOIN offer_segment_members AS m ON m.offer_id = o.id AND m.user_id = u.id
"""

_LAPSES: Final = """
SELECT l.until FROM (
    SELECT m.valid_until AS until FROM offer_segment_members AS m
    UNION
    SELECT eligibility_valid_until(o.id, u.id) FROM offers AS o CROSS JOIN unnest($1::uuid[]) AS u (id)
) AS l
WHERE l.until > clock.now() AND l.until < 'infinity' ORDER BY l.until
"""


@dataclass(frozen=True, slots=True)
class Sight:
    """One user and one offer. `until` and `eligible` are the reference's, the row is the segmenter's.

    `live`: the offer keeps members. `current`: its present rules built them, and no rebuild is open.
    """

    offer_id: UUID
    user_id: UUID
    status: str
    rules_version: int
    live: bool
    current: bool
    allowed: bool
    eligible: bool
    until: datetime | None
    row_until: datetime | None
    row_version: int | None

    @property
    def member(self) -> bool:
        """Whether the user belongs to the offer's segment now."""
        return self.live and self.eligible

    @property
    def refusal(self) -> Reason | None:
        """What a checkout must be told now; None: the offer may be used."""
        if self.status != "active":
            return "offer_inactive"
        if not self.allowed:
            return "user_not_allowed"
        return None if self.eligible else "not_eligible"


def _aware(value: Any) -> Any:
    """The driver shows infinity as the end of the calendar, without a time zone."""
    return INFINITY if value == datetime.max else value


async def look(pool: Pool, users: Sequence[UUID]) -> dict[Pair, Sight]:
    """Every offer and each of these users."""
    rows = await pool.fetch(_SIGHTS, users)
    sights = [Sight(**{name: _aware(value) for name, value in row.items()}) for row in rows]
    return {(sight.offer_id, sight.user_id): sight for sight in sights}


async def lapses_ahead(pool: Pool, users: Sequence[UUID]) -> list[datetime]:
    """When a membership lapses unless something happens, or a row says so; soonest first."""
    return [row["until"] for row in await pool.fetch(_LAPSES, users)]


async def segment_events(pool: Pool, skipped: int) -> list[tuple[UUID, SegmentChanged]]:
    """What was told of segments but for the first so many events, each with its key, in the order of publishing."""
    rows = await pool.fetch(
        "SELECT m.message_key, m.value FROM outbox AS o, unnest(o.message_keys, o.messages) WITH ORDINALITY"
        " AS m (message_key, value, place) WHERE o.topic = $1 ORDER BY o.id, m.place OFFSET $2",
        SEGMENTS_CHANGED,
        skipped,
    )
    return [(row["message_key"], SegmentChanged.model_validate_json(row["value"])) for row in rows]


class Checkouts:
    """Ask the redemption service whether offers may be used."""

    def __init__(self, pool: Pool) -> None:
        self._redemption = redemption_handler(pool)

    async def refusals(self, command: Literal["quote", "redeem"], pairs: Sequence[Pair]) -> dict[Pair, str | None]:
        """Why each user may not use each offer; None where it may be used. A redeem uses it."""
        request = QuoteRequest if command == "quote" else RedeemRequest
        asked = [
            request.model_validate(
                {
                    "command": command,
                    "request_id": uuid4(),
                    "offer_id": offer,
                    "user_id": user,
                    "unit_price": Decimal(10),
                }
            )
            for offer, user in pairs
        ]
        replies = [orjson.loads(reply.value or b"") for reply in await self._redemption(received(asked))]
        told = {reply["request_id"]: reply["reason"] for reply in replies if "request_id" in reply}
        return {pair: told[str(one.request_id)] for pair, one in zip(pairs, asked, strict=True)}
