"""Evaluates locked users again and writes what changed, for batches, rebuilds and lapses alike."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.segmenter.announcements import announce
from services.segmenter.catalogue import PROFILE, Aspect, Catalogue
from services.segmenter.membership import (
    EXTEND_WITHIN_US,
    Changes,
    StoredMembers,
    Users,
    arrange,
    changes_between,
    evaluate,
)
from services.segmenter.store import CatalogueReader, LockedUsers, load_members, load_users, write_members
from shared import metrics
from shared.clock import to_us
from shared.database import Connection
from shared.histories import load_histories


@dataclass(frozen=True, slots=True)
class Touched:
    """What of some users changed: only offers that rest on one of these aspects can be concerned; None: any.

    `only_added`: transactions came and none went, so that memberships can only begin or last longer.
    """

    aspects: frozenset[Aspect] | None = None
    only_added: bool = False

    @property
    def profiles(self) -> bool:
        """Whether registrations or roles changed."""
        return self.aspects is not None and PROFILE in self.aspects


ANYTHING: Final = Touched()


class Evaluator:
    """Brings memberships up to date in the caller's transaction, which has locked the users."""

    def __init__(self) -> None:
        self._catalogue = CatalogueReader()

    async def update(
        self,
        connection: Connection,
        users: LockedUsers,
        *,
        offer_ids: Collection[UUID] | None = None,
        touched: Touched = ANYTHING,
        members: StoredMembers | None = None,
        extend_within_us: int = EXTEND_WITHIN_US,
    ) -> Changes:
        """Make the users' rows right, in all offers or in those given, and announce changes.

        `members` are the users' rows where the caller has read them.
        """
        catalogue = await self._catalogue.read(connection)
        if offer_ids is not None:
            catalogue = catalogue.only(offer_ids)
        if members is None:
            members = await load_members(connection, users.ids, offer_ids)
        changes = await _changes(connection, catalogue, users, touched, members, extend_within_us)
        await write_members(connection, changes)
        await announce(connection, changes, to_us(users.now))
        if changes.entered:
            metrics.MEMBERS_CHANGED.labels("entered").inc(len(changes.entered))
        if changes.departed:
            metrics.MEMBERS_CHANGED.labels("left").inc(len(changes.departed))
        return changes


async def _changes(
    connection: Connection,
    catalogue: Catalogue,
    locked: LockedUsers,
    touched: Touched,
    members: StoredMembers,
    extend_within_us: int,
) -> Changes:
    users, now_us = Users(locked.ids), to_us(locked.now)
    stored = arrange(members, catalogue, users)
    if touched.aspects is not None:
        places = catalogue.resting_on(touched.aspects)
        catalogue, stored = catalogue.part(places), stored.of(places)
    if touched.only_added and stored.all_for_ever():
        return changes_between(stored, stored.valid_until_us, catalogue.offers, users, now_us)
    users = await load_users(connection, locked.ids, catalogue.offers)
    histories = await load_histories(connection, locked.ids, locked.registered_us)
    verdicts = evaluate(catalogue, users, histories)
    return changes_between(stored, verdicts, catalogue.offers, users, now_us, extend_within_us)
