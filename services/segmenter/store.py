"""Reads and writes the segmenter's tables. Maps rows to frozen values and arrays."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

import numpy as np
import orjson
from pydantic import ValidationError

from services.segmenter.membership import Changes, Evaluated, Member, Pair, SegmentOffer
from services.segmenter.validity import NEVER, Histories
from shared.database import Connection
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.rules import RULE
from shared.sqlfile import load_queries
from shared.telemetry import get_logger

log = get_logger(__name__)
queries = load_queries(__file__)


class ForeignTopup(ValueError):
    """An event gives a known topup to another user."""


async def lock_users(connection: Connection, ids: Sequence[UUID]) -> None:
    """Make sure the users have rows, and lock them until the transaction ends. `ids` must be sorted."""
    await connection.execute(queries.share_segments)
    await connection.execute(queries.add_users, ids)
    await connection.execute(queries.lock_users, ids)


async def store_users(connection: Connection, events: Sequence[UserEvent]) -> None:
    """Apply user events, at most one a user."""
    await connection.execute(
        queries.update_users,
        [event.user_id for event in events],
        [event.registered_at for event in events],
        [orjson.dumps(event.roles).decode() for event in events],
        [event.occurred_at for event in events],
        [event.event_id for event in events],
    )


async def store_topups(connection: Connection, events: Sequence[TopupEvent]) -> None:
    """Apply topup events, at most one a topup.

    Raises:
        ForeignTopup: one names another user than the topup belongs to.
    """
    rows = await connection.fetch(
        queries.store_topups,
        [event.topup_id for event in events],
        [event.user_id for event in events],
        [event.operator_id for event in events],
        [event.kind for event in events],
        [event.amount for event in events],
        [event.status for event in events],
        [event.occurred_at for event in events],
        [event.event_id for event in events],
    )
    applied = {row["id"] for row in rows}
    rest = [event for event in events if event.topup_id not in applied]
    if rest:
        foreign = await connection.fetch(
            queries.find_foreign_topups, [event.topup_id for event in rest], [event.user_id for event in rest]
        )
        if foreign:
            raise ForeignTopup(f"topup {foreign[0]['id']} belongs to another user")


async def load_evaluated(connection: Connection, ids: Sequence[UUID]) -> Evaluated:
    """The users' registrations, roles and counted transactions."""
    users = await connection.fetch(queries.load_users, ids)
    rows = await connection.fetch(queries.load_histories, ids)
    operators: dict[UUID, int] = {}
    columns = np.array(
        [
            (place, occurred_us, cents, operators.setdefault(operator, len(operators)), is_topup)
            for place, occurred_us, cents, operator, is_topup in rows
        ],
        dtype=np.int64,
    ).reshape(-1, 5)
    histories = Histories(
        registered_us=np.array(
            [NEVER if row["registered_us"] is None else row["registered_us"] for row in users], dtype=np.int64
        ),
        user=columns[:, 0],
        occurred_us=columns[:, 1],
        amount=columns[:, 2],
        operator=columns[:, 3],
        is_topup=columns[:, 4].astype(np.bool_),
        operators=operators,
    )
    return Evaluated(ids, [row["roles"] for row in users], histories)


async def load_offers(
    connection: Connection, user_ids: Sequence[UUID], offer_id: UUID | None = None
) -> list[SegmentOffer]:
    """The offers that keep members (all, or one), with those of the users they allow by name.

    An offer whose rules can't be read keeps no members, so that redemptions ask the exact function.
    """
    allowed: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for row in await connection.fetch(queries.load_allowed_users, user_ids):
        allowed[row["offer_id"]].add(row["user_id"])
    offers = []
    for row in await connection.fetch(queries.load_offers, offer_id):
        try:
            rules = tuple(RULE.validate_python(rule) for rule in row["rules"])
        except ValidationError as error:
            log.error("rules unreadable", action="rules.unreadable", offer_id=str(row["id"]), error=str(error))
            continue
        offers.append(
            SegmentOffer(
                id=row["id"],
                rules_version=row["rules_version"],
                logic=row["eligibility_logic"],
                rules=rules,
                allow_all=row["allow_all"],
                allowed_users=frozenset(allowed[row["id"]]),
                allowed_roles=frozenset(row["allowed_roles"]),
            )
        )
    return offers


async def load_members(
    connection: Connection, user_ids: Sequence[UUID], offer_id: UUID | None = None
) -> dict[Pair, Member]:
    """The stored memberships of the users, of every offer or of one."""
    rows = await connection.fetch(queries.load_members, user_ids, offer_id)
    return {(row["offer_id"], row["user_id"]): Member(row["valid_until_us"], row["rules_version"]) for row in rows}


async def write_members(connection: Connection, changes: Changes) -> None:
    """Write the changed memberships."""
    if changes.upserts:
        members = changes.upserts.values()
        await connection.execute(
            queries.upsert_members,
            *_columns(changes.upserts),
            [member.valid_until_us for member in members],
            [member.rules_version for member in members],
        )
    if changes.deletes:
        await connection.execute(queries.delete_members, *_columns(changes.deletes))


def _columns(pairs: Iterable[Pair]) -> tuple[list[UUID], list[UUID]]:
    listed = list(pairs)
    return [offer_id for offer_id, _ in listed], [user_id for _, user_id in listed]
