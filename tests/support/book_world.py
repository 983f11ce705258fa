"""Plays steps on the redemption handler and on the model of the book, and holds each reply against the model's."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, assert_never
from uuid import UUID

import orjson

from tests.support.book_model import NEW, BookModel
from tests.support.book_requests import Asked, Spelling
from tests.support.book_steps import (
    TICK,
    Allowance,
    Batch,
    Change,
    Doing,
    Edit,
    Limits,
    NamedProduct,
    Open,
    Pass,
    Products,
    Purchase,
    ReachEdge,
    Redelivery,
    Repeat,
    Revision,
    Revocation,
    Saving,
    Topup,
    Window,
)
from tests.support.book_terms import Product, Terms, create_offers, store_terms
from tests.support.clock import ClockedDatabase
from tests.support.deciding import redemption_handler, replies_to

START: Final = datetime(2026, 11, 24, 12, 30, 15, 123456, tzinfo=UTC)
UNKNOWN_CODE: Final = "NO-SUCH"

_EMPTY: Final = """
DELETE FROM offer_redemptions; DELETE FROM redemption_decisions; DELETE FROM offers; DELETE FROM users;
DELETE FROM topup_requests
"""
_TOPUP: Final = """
INSERT INTO topup_requests (id, user_id, operator_id, amount, status, occurred_at)
VALUES (gen_random_uuid(), $1, gen_random_uuid(), 10, 'succeeded', $2)
"""

_worlds = itertools.count(1)
Message = tuple[Asked, Spelling]


class World:
    """Offers, users, the clock and the two books. Ids were never used before, and run against the codes."""

    def __init__(self, database: ClockedDatabase, offers: int, roles: Sequence[str]) -> None:
        """One user for each role; nothing is stored before `begin`."""
        number = next(_worlds) << 32
        self._ids = itertools.count(number + 1000)
        self.offers = [UUID(int=number + 100 + offer) for offer in range(offers)]
        self.users = [UUID(int=number + 200 + user) for user in range(len(roles))]
        codes = {offer: f"CODE-{offers - place}" for place, offer in enumerate(self.offers)}
        by_user = zip(self.users, roles, strict=True)
        self.model = BookModel(codes, {user: frozenset([role]) for user, role in by_user})
        self.model.terms = {offer: Terms() for offer in self.offers}
        self.pool = database.pool
        self.now = START
        self._database = database
        self._handler = redemption_handler(database.pool)
        self._batches: list[list[Message]] = []

    async def begin(self) -> None:
        """Empty the database, and make the offers and the users."""
        await self._database.set(self.now)
        await self.pool.execute(_EMPTY)
        await create_offers(self.pool, self.model.codes)
        for offer, terms in self.model.terms.items():
            await store_terms(self.pool, offer, terms)
        rows = [(user, sorted(roles)) for user, roles in self.model.roles.items()]
        await self.pool.executemany("INSERT INTO users (id, created_at, roles) VALUES ($1, now(), $2)", rows)

    async def wait(self, wait: Pass | ReachEdge) -> None:
        """Let time pass; it never goes back."""
        match wait:
            case Pass():
                self.now += wait.time
            case ReachEdge():
                ahead = [edge for edge in self._edges(wait.of) if edge is not None and edge > self.now]
                self.now = max(self.now, min(ahead, default=self.now) + wait.ticks * TICK)
            case _:
                assert_never(wait)
        await self._database.set(self.now)

    async def do(self, doing: Doing) -> None:
        """Have it happen now, in the service's book and in the model's."""
        match doing:
            case Batch():
                messages: list[Message] = []
                for item in doing.items:
                    messages.append(self._message(item, messages))
                self._batches.append(messages)
                await self._decide(messages)
            case Redelivery():
                if self._batches:
                    await self._decide(self._batches[-1 - doing.which % len(self._batches)])
            case Topup():
                user = self.users[doing.user]
                self.model.topups[user] += 1
                await self.pool.execute(_TOPUP, user, self.now)
            case Edit():
                offer = self.offers[doing.offer]
                self.model.terms[offer] = self._revised(offer, doing.revision)
                await store_terms(self.pool, offer, self.model.terms[offer])
            case _:
                assert_never(doing)

    async def _decide(self, messages: Sequence[Message]) -> None:
        replies = await replies_to(self._handler, [asked.to_json(spelling) for asked, spelling in messages])
        for (asked, _), reply in zip(messages, replies, strict=True):
            self._check(asked, reply)

    def _check(self, asked: Asked, reply: bytes) -> None:
        """Hold one reply against the model's: the very bytes of the first answer, or each field."""
        again = self.model.repeated(asked)
        if again is not None:
            assert reply == again, asked
            return
        said = orjson.loads(reply)
        expected = self.model.answer(asked, self.now)
        if expected["redemption_id"] == NEW:
            known = {one.id for one in self.model.redemptions.values()}
            assert str(UUID(said["redemption_id"])) not in known, asked
            self.model.redemptions[asked.request_id].id = expected["redemption_id"] = said["redemption_id"]
        assert (said.pop("message") is not None) == (expected["reason"] == "invalid_request"), asked
        for rule in said["explanation"] or ():
            assert (rule.pop("missing") is None) == rule["passed"], asked
        assert said == expected, asked
        self.model.keep(asked, reply, self.now)

    def _edges(self, of: Literal["window", "deadline"]) -> list[datetime | None]:
        if of == "deadline":
            return [asked.deadline for batch in self._batches for asked, _ in batch]
        return [edge for terms in self.model.terms.values() for edge in (terms.starts_at, terms.ends_at)]

    def _message(self, item: Purchase | Revocation | Repeat, batch: Sequence[Message]) -> Message:
        earlier = [asked for sent in (*self._batches, batch) for asked, _ in sent]
        match item:
            case Purchase():
                return self._purchase(item), item.spelling
            case Revocation():
                return self._revocation(item, [asked for asked in earlier if asked.command == "redeem"]), "plain"
            case Repeat():
                if not earlier:
                    return Asked(self._id(), "revoke", redeem_request_id=self._id()), item.spelling
                asked = self._changed(earlier[-1 - item.which % len(earlier)], item.change)
                return replace(asked, deadline=self._after(item.deadline_in)), item.spelling
            case _:
                assert_never(item)

    def _purchase(self, item: Purchase) -> Asked:
        known = item.offer < len(self.offers)
        offer = self.offers[item.offer] if known else self._id()
        code = self.model.codes[offer] if known else UNKNOWN_CODE
        return Asked(
            request_id=self._id(),
            command=item.command,
            user_id=self.users[item.user],
            offer_id=offer if item.named == "id" else None,
            code=code if item.named == "code" else None,
            product_id=_product(item.product),
            mapping_id=_mapping(item.mapping),
            quantity=item.quantity,
            unit_cents=item.unit_cents,
            deadline=self._after(item.deadline_in),
        )

    def _revocation(self, item: Revocation, redeems: Sequence[Asked]) -> Asked:
        request_id = redeems[-1 - item.which % len(redeems)].request_id if redeems else self._id()
        made = self.model.redemptions.get(request_id)
        return Asked(
            request_id=self._id(),
            command="revoke",
            redemption_id=None if item.by == "request" else UUID(made.id) if made else self._id(),
            redeem_request_id=None if item.by == "redemption" else request_id,
            deadline=self._after(item.deadline_in),
        )

    def _changed(self, asked: Asked, change: Change) -> Asked:
        if change == "none":
            return asked
        if asked.command == "revoke" or change == "revoke":
            named = None if change == "invalid" else asked.redeem_request_id or asked.request_id
            return Asked(asked.request_id, "revoke", redeem_request_id=named)
        if change == "naming" and asked.offer_id in self.offers:
            return replace(asked, offer_id=None, code=self.model.codes[asked.offer_id])
        if change == "user":
            (other, *_) = [user for user in self.users if user != asked.user_id]
            return replace(asked, user_id=other)
        return replace(asked, quantity=0 if change == "invalid" else asked.quantity + 1)

    def _revised(self, offer: UUID, revision: Revision) -> Terms:
        terms = self.model.terms[offer]
        match revision:
            case Open():
                return replace(terms, status=revision.status)
            case Limits():
                total = None if revision.spare is None else max(1, self.model.uses(offer) + revision.spare)
                return replace(terms, per_user=revision.per_user, total=total)
            case Window():
                return replace(terms, starts_at=self._after(revision.starts_in), ends_at=self._after(revision.ends_in))
            case Saving():
                return replace(terms, discount=revision.discount, hundredths=revision.hundredths)
            case Products():
                named = tuple(_terms_of(product) for product in revision.products)
                return replace(terms, apply_to="products" if revision.alone else "all", products=named)
            case Allowance():
                return replace(
                    terms,
                    allow_all=revision.allow_all,
                    users=frozenset(self.users[user] for user in revision.users),
                    roles=frozenset(revision.roles),
                    topups_needed=revision.topups_needed,
                )
            case _:
                assert_never(revision)

    def _after(self, time: timedelta | None) -> datetime | None:
        return None if time is None else self.now + time

    def _id(self) -> UUID:
        return UUID(int=next(self._ids))


def _product(number: int | None) -> UUID | None:
    return None if number is None else UUID(int=10 + number)


def _mapping(number: int | None) -> UUID | None:
    return None if number is None else UUID(int=20 + number)


def _terms_of(named: NamedProduct) -> Product:
    ids = _product(named.product), _mapping(named.mapping)
    return Product(*ids, named.own_price_cents, named.quantity_max)
