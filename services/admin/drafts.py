"""Drafts: edits of an offer that are kept as they are typed, valid or not, until they are published or discarded.

Everybody who edits has a draft of their own. Every save is a step that can be undone. The draft's row is locked first;
a save states the revision it was made from, so that of two tabs the second is refused instead of overwriting the first.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from pydantic import ValidationError

from services.admin import store
from services.admin.content import Content, FieldProblem, alike, check, content_of, merge
from services.admin.editing import OfferNotFound
from services.admin.models import Audience, Offer, OfferDraft
from services.admin.versions import find_version
from shared.database import Connection, Pool
from shared.sqlfile import load_queries

STEPS_MAX: Final = 200

_queries = load_queries(__file__, "drafts.sql")


@dataclass(frozen=True, slots=True)
class Draft:
    """Somebody's draft beside the offer as it is; revision 0: nothing is edited yet."""

    offer: Offer
    base_version: int
    revision: int
    content: Content
    allowed_users: list[UUID]
    can_undo: bool = False
    can_redo: bool = False
    updated_at: datetime | None = None

    @property
    def is_stale(self) -> bool:
        """Somebody changed the offer since the draft was begun."""
        return self.base_version != self.offer.version

    @property
    def differs(self) -> bool:
        """There is something to publish."""
        if self.revision == 0:
            return False
        checked = self.checked()
        content = content_of(checked) if isinstance(checked, OfferDraft) else self.content
        return content != content_of(self.offer) or self.allowed_users != self.offer.allowed_users

    def audience(self) -> Audience | None:
        """Whom it would be for, as far as that is valid; the rest of the draft may not be."""
        fields = Audience.model_fields.keys() & self.content.keys()
        try:
            return Audience.model_validate(
                {name: self.content[name] for name in fields} | {"allowed_users": self.allowed_users}
            )
        except ValidationError:
            return None

    def checked(self) -> OfferDraft | list[FieldProblem]:
        """The offer it would become, or what is wrong with it."""
        return check(self.content, self.allowed_users)


@dataclass(frozen=True, slots=True)
class DraftChanged:
    """The draft was saved elsewhere, another tab perhaps, since the revision the writer states."""

    stated: int
    current: int


Outcome = Draft | OfferNotFound | DraftChanged


async def find_draft(source: Pool | Connection, offer_id: UUID, owner: str) -> Draft | OfferNotFound:
    """Somebody's draft of an offer; without one, what it would begin as."""
    offer = await store.load_offer(source, offer_id)
    if offer is None:
        return OfferNotFound()
    row = await source.fetchrow(_queries.find_draft, offer_id, owner)
    if row is None:
        return Draft(offer, offer.version, 0, content_of(offer), offer.allowed_users)
    return Draft(offer, **row)


async def save_draft(
    pool: Pool, offer_id: UUID, owner: str, revision: int, content: Content, base_version: int | None = None
) -> Outcome:
    """Make the draft what the content says, as a step after the one it stands at.

    `base_version`: the offer's version that was edited, where that begins the draft; the current one without it.
    """
    async with _locked(pool, offer_id, owner, revision, base_version) as locked:
        if isinstance(locked, _Locked) and not alike(content, locked.draft.content):
            await locked.add_step(content)
        return await _outcome(locked)


async def save_users(pool: Pool, offer_id: UUID, owner: str, revision: int, users: Sequence[UUID]) -> Outcome:
    """Replace the draft's allowed users. It is no step: undo leaves them alone."""
    async with _locked(pool, offer_id, owner, revision) as locked:
        if isinstance(locked, _Locked):
            await locked.connection.execute(_queries.put_users, *locked.key, sorted(set(users)))
        return await _outcome(locked)


async def step(pool: Pool, offer_id: UUID, owner: str, revision: int, *, forward: bool) -> Outcome:
    """Undo the newest step, or redo the one undone last; nothing happens where there is none."""
    async with _locked(pool, offer_id, owner, revision) as locked:
        if isinstance(locked, _Locked):
            await locked.move(forward)
        return await _outcome(locked)


async def rebase(
    pool: Pool, offer_id: UUID, owner: str, revision: int
) -> tuple[Draft, list[str]] | OfferNotFound | DraftChanged:
    """Put the draft's edits on top of the offer as it is now; also the fields that others changed, too, differently."""
    async with _locked(pool, offer_id, owner, revision) as locked:
        if not isinstance(locked, _Locked):
            return locked
        draft = locked.draft
        base = await find_version(locked.connection, offer_id, draft.base_version)
        theirs = content_of(draft.offer)
        checked = draft.checked()
        mine = content_of(checked) if isinstance(checked, OfferDraft) else draft.content
        merged, conflicts = merge(base.content if base else theirs, mine, theirs)
        await locked.add_step(merged)
        await locked.connection.execute(_queries.put_base, *locked.key, draft.offer.version)
        outcome = await locked.reread()
        return (outcome, conflicts)


@dataclass(frozen=True, slots=True)
class _Locked:
    """A draft whose row is locked."""

    connection: Connection
    draft: Draft
    step: int
    key: tuple[UUID, str]

    async def add_step(self, content: Content) -> None:
        following = self.step + 1
        await self.connection.execute(_queries.put_step, *self.key, following, content)
        await self.connection.execute(_queries.drop_steps, *self.key, following - STEPS_MAX, following)
        await self.connection.execute(_queries.move_draft, *self.key, following)

    async def move(self, forward: bool) -> None:
        place = await self.connection.fetchval(_queries.nearest_step, *self.key, self.step, forward)
        if place is not None:
            await self.connection.execute(_queries.move_draft, *self.key, place)

    async def reread(self) -> Draft:
        draft = await find_draft(self.connection, *self.key)
        assert isinstance(draft, Draft), "its row is locked by this transaction"
        return draft


@asynccontextmanager
async def _locked(
    pool: Pool, offer_id: UUID, owner: str, revision: int, base_version: int | None = None
) -> AsyncIterator[_Locked | OfferNotFound | DraftChanged]:
    async with pool.acquire() as connection, connection.transaction():
        offer = await store.load_offer(connection, offer_id)
        if offer is None:
            yield OfferNotFound()
            return
        await connection.execute(
            _queries.begin_draft, offer_id, owner, base_version or offer.version, offer.allowed_users
        )
        row = await connection.fetchrow(_queries.lock_draft, offer_id, owner)
        assert row is not None, "it was begun a moment ago"
        if row["revision"] != revision:
            yield DraftChanged(revision, row["revision"])
            return
        if revision == 0:
            await connection.execute(_queries.put_step, offer_id, owner, 0, content_of(offer))
        draft = await find_draft(connection, offer_id, owner)
        assert isinstance(draft, Draft), "it has a row and a step"
        yield _Locked(connection, draft, row["step"], (offer_id, owner))


async def _outcome(locked: _Locked | OfferNotFound | DraftChanged) -> Outcome:
    return await locked.reread() if isinstance(locked, _Locked) else locked
