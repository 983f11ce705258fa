"""Reads and writes the segmenter's tables. Maps rows to frozen values and arrays."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import numpy as np
import orjson
from asyncpg import Record
from pydantic import ValidationError

from services.segmenter.catalogue import Catalogue, SegmentOffer
from services.segmenter.membership import Changes, StoredMembers, Users
from shared.clock import from_us
from shared.database import Connection
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.histories import read_ids, read_integers, read_times
from shared.rules import RULE
from shared.sqlfile import load_queries
from shared.telemetry import get_logger
from shared.validity import ALWAYS, Flags, Int64s

INFINITY: Final = datetime.max.replace(tzinfo=UTC)
"""What the driver takes for PostgreSQL's infinity."""

log = get_logger(__name__)
queries = load_queries(__file__)


class ForeignTopup(ValueError):
    """An event gives a known topup to another user."""


@dataclass(frozen=True, slots=True)
class LockedUsers:
    """n users nobody else evaluates until the transaction ends, in id order: when they registered
    (microseconds since 1970, NEVER if unknown), and the instant at which they are evaluated."""

    ids: Sequence[UUID]
    registered_us: Int64s
    now: datetime

    def only(self, places: Sequence[int]) -> "LockedUsers":
        """Those at some places."""
        return LockedUsers([self.ids[place] for place in places], self.registered_us[list(places)], self.now)


async def lock_users(connection: Connection, ids: Collection[UUID]) -> LockedUsers:
    """Make sure the users have rows, and lock them until the transaction ends."""
    ordered = sorted(ids)
    await connection.execute(queries.share_segments)
    row = await connection.fetchrow(queries.lock_users, ordered)
    if row is not None and row["users"] < len(ordered):
        await connection.execute(queries.add_users, ordered)
        row = await connection.fetchrow(queries.lock_users, ordered)
    assert row is not None, "an aggregate always has a row"
    return LockedUsers(ordered, read_times(row["registered"]), row["evaluated_at"])


async def evaluation_time(connection: Connection) -> datetime:
    """The database's clock."""
    now: datetime = await connection.fetchval(queries.evaluation_time)
    return now


async def store_users(connection: Connection, events: Sequence[UserEvent]) -> bool:
    """Apply user events, at most one a user. Returns whether any was news."""
    rows = await connection.fetch(
        queries.update_users,
        [event.user_id for event in events],
        [event.registered_at for event in events],
        [orjson.dumps(event.roles).decode() for event in events],
        [event.occurred_at for event in events],
        [event.event_id for event in events],
    )
    return bool(rows)


async def store_topups(connection: Connection, events: Sequence[TopupEvent]) -> tuple[set[UUID], bool]:
    """Apply topup events, at most one a topup.

    Returns the topups whose event was news, and whether one of them was known before.

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
    return applied, not all(row["is_new"] for row in rows)


@dataclass(frozen=True, slots=True)
class _Known:
    versions: dict[UUID, int]
    parsed: dict[UUID, SegmentOffer | None]
    catalogue: Catalogue


class CatalogueReader:
    """Reads the catalogue as a transaction sees it, parsing only what changed since it last did."""

    def __init__(self) -> None:
        self._known = _Known({}, {}, Catalogue(()))

    async def read(self, connection: Connection) -> Catalogue:
        """Every offer that keeps members. One whose rules can't be read keeps none, so that redemptions
        ask the exact function."""
        known = self._known
        rows = await connection.fetch(queries.load_offers, list(known.versions), list(known.versions.values()))
        versions = {row["id"]: row["rules_version"] for row in rows}
        if versions != known.versions:
            parsed = known.parsed | {row["id"]: _parse(row) for row in rows if row["definition"] is not None}
            parsed = {offer_id: parsed[offer_id] for offer_id in versions}
            catalogue = Catalogue(tuple(offer for offer in parsed.values() if offer is not None))
            known = self._known = _Known(versions, parsed, catalogue)
        return known.catalogue


def _parse(row: Record) -> SegmentOffer | None:
    definition = row["definition"]
    try:
        rules = tuple(RULE.validate_python(rule) for rule in definition["rules"])
    except ValidationError as error:
        log.error("rules unreadable", action="rules.unreadable", offer_id=str(row["id"]), error=str(error))
        return None
    return SegmentOffer(
        id=row["id"],
        rules_version=row["rules_version"],
        logic=definition["logic"],
        rules=rules,
        allow_all=definition["allow_all"],
        allowed_roles=frozenset(definition["allowed_roles"]),
    )


async def load_users(connection: Connection, ids: Sequence[UUID], offers: Sequence[SegmentOffer]) -> Users:
    """The users, with what decides who of them is allowed where offers are not open to all."""
    closed = [offer for offer in offers if not offer.allow_all]
    if not closed:
        return Users(ids)
    roles = sorted({role for offer in closed for role in offer.allowed_roles})
    holders = await connection.fetch(queries.load_role_holders, ids, roles)
    named = await connection.fetch(queries.load_named, ids, [offer.id for offer in closed])
    return Users(ids, _flags(holders, len(ids)), _flags(named, len(ids)))


def _flags(rows: Sequence[Record], users: int) -> dict[Any, Flags]:
    """Rows of (what, place of a user) as flags (users,) by what."""
    flags: defaultdict[Any, Flags] = defaultdict(lambda: np.zeros(users, dtype=np.bool_))
    for what, place in rows:
        flags[what][place] = True
    return flags


async def load_members(
    connection: Connection, ids: Sequence[UUID], offer_ids: Collection[UUID] | None = None
) -> StoredMembers:
    """The stored memberships of the users, of every offer or of some."""
    wanted = None if offer_ids is None else list(offer_ids)
    row = await connection.fetchrow(queries.load_members, ids, wanted)
    assert row is not None, "an aggregate always has a row"
    return StoredMembers(
        offer=read_ids(row["offers"]),
        user=read_integers(row["places"]) - 1,
        valid_until_us=read_times(row["valid_until"]),
        rules_version=read_integers(row["rules_versions"], width=4),
    )


async def write_members(connection: Connection, changes: Changes) -> None:
    """Write the changed memberships."""
    if changes.departed:
        pairs = [pair for pair, _ in changes.departed]
        await connection.execute(queries.delete_members, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
    if changes.upserts:
        await connection.execute(
            queries.upsert_members,
            [pair[0] for pair, _, _ in changes.upserts],
            [pair[1] for pair, _, _ in changes.upserts],
            [INFINITY if until_us == ALWAYS else from_us(until_us) for _, until_us, _ in changes.upserts],
            [version for _, _, version in changes.upserts],
        )
