"""Changes an offer as an administrator's edit does, and makes the event that tells of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, assert_never
from uuid import UUID, uuid4

from shared.database import Connection, Pool
from shared.events.offers_changed import OfferChanged
from tests.support.segment_steps import Edit, StatusChange

_TYPES: Final[dict[str, Literal["offer.published", "offer.paused", "offer.archived"]]] = {
    "active": "offer.published",
    "paused": "offer.paused",
    "archived": "offer.archived",
}


async def apply_change(
    pool: Pool, offer: UUID, change: Edit | StatusChange, users: Sequence[UUID], now: datetime
) -> OfferChanged:
    """Change the offer in one transaction."""
    async with pool.acquire() as connection, connection.transaction():
        match change:
            case Edit():
                await _edit(connection, offer, change, users)
            case StatusChange():
                await connection.execute("UPDATE offers SET status = $2 WHERE id = $1", offer, change.status)
            case _:
                assert_never(change)
        row = await connection.fetchrow("SELECT code, status, version, rules_version FROM offers WHERE id = $1", offer)
    assert row is not None
    return OfferChanged(
        event_id=uuid4(),
        type="offer.updated" if isinstance(change, Edit) else _TYPES[change.status],
        offer_id=offer,
        occurred_at=now,
        **row,
    )


async def _edit(connection: Connection, offer: UUID, edit: Edit, users: Sequence[UUID]) -> None:
    await connection.execute("DELETE FROM offer_eligibility_rules WHERE offer_id = $1", offer)
    await connection.execute("DELETE FROM offer_allowed_users WHERE offer_id = $1", offer)
    await connection.execute("DELETE FROM offer_allowed_roles WHERE offer_id = $1", offer)
    await connection.execute(
        "UPDATE offers SET eligibility_logic = $2, allow_all = $3 WHERE id = $1", offer, edit.logic, edit.allow_all
    )
    await connection.executemany(
        "INSERT INTO offer_eligibility_rules (offer_id, rule_key, rule_type, params) VALUES ($1, $2, $3, $4)",
        [(offer, f"rule-{place}", rule["rule_type"], rule["params"]) for place, rule in enumerate(edit.rules)],
    )
    await connection.executemany(
        "INSERT INTO offer_allowed_users VALUES ($1, $2)", [(offer, users[place]) for place in edit.allowed_users]
    )
    await connection.executemany(
        "INSERT INTO offer_allowed_roles VALUES ($1, $2)", [(offer, role) for role in edit.allowed_roles]
    )
