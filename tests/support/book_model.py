"""The book by hand: what each request must be answered, and what must then be stored.

Written from the contract in plain Python. It shares nothing with the service but the messages.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tests.support.book_prices import Bill, bill, money
from tests.support.book_requests import Asked
from tests.support.book_terms import Product, Terms

Reply = dict[str, Any]
NEW: Final = "a new redemption's id"
"""Stands for an id that the service chooses."""


@dataclass(slots=True)
class Redemption:
    """One use of an offer."""

    id: str
    offer_id: UUID
    user_id: UUID
    bill: Bill
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that was decided, and the answer it keeps."""

    asked: Asked
    reply: bytes
    decided_at: datetime


@dataclass(slots=True)
class BookModel:
    """Offers, users' topups and roles, and all that was answered. Redemptions go by the request that made them."""

    codes: Mapping[UUID, str]
    roles: Mapping[UUID, frozenset[str]]
    terms: dict[UUID, Terms] = field(default_factory=dict)
    topups: Counter[UUID] = field(default_factory=Counter)
    redemptions: dict[UUID, Redemption] = field(default_factory=dict)
    answered: dict[UUID, Answered] = field(default_factory=dict)

    def uses(self, offer: UUID, user: UUID | None = None) -> int:
        """Redemptions of the offer that stand: all, or one user's."""
        standing = (one for one in self.redemptions.values() if one.revoked_at is None and one.offer_id == offer)
        return sum(user is None or one.user_id == user for one in standing)

    def repeated(self, asked: Asked) -> bytes | None:
        """The bytes a repeat of a decided request gets again."""
        before = self.answered.get(asked.request_id)
        if asked.command == "quote" or before is None or not asked.same_as(before.asked):
            return None
        return before.reply

    def answer(self, asked: Asked, now: datetime) -> Reply:
        """The reply to a request that is no repeat; a use or its revocation is entered."""
        reply = _blank(asked, now)
        if not asked.valid:
            return reply | {"status": "rejected", "reason": "invalid_request"}
        if asked.command != "quote" and asked.request_id in self.answered:
            return reply | _named(asked) | {"status": "rejected", "reason": "idempotency_conflict"}
        if asked.command == "revoke":
            return reply | self._revoked(asked, now)
        if asked.offer_id is None and asked.code is None:
            return reply | _named(asked) | self._every_offer(asked, now)
        return reply | self._purchased(asked, now)

    def keep(self, asked: Asked, reply: bytes, now: datetime) -> None:
        """Remember the first answer to a request; quotes are forgotten."""
        if asked.command != "quote":
            self.answered.setdefault(asked.request_id, Answered(asked, reply, now))

    def _purchased(self, asked: Asked, now: datetime) -> Reply:
        offer = self._offer(asked)
        reason = self._reason(asked, offer, now)
        reply = _named(asked) | {"offer_id": _text(offer or asked.offer_id)}
        if offer is not None and (asked.command == "quote" or reason == "not_eligible"):
            reply["explanation"] = self._explanation(offer, asked.user_id)
        if reason is not None or offer is None:
            return reply | {"status": "rejected", "reason": reason}
        price = self._bill(asked, offer)
        reply |= _amounts(price) | {"status": "accepted"}
        if asked.command == "redeem":
            assert asked.user_id is not None
            self.redemptions[asked.request_id] = Redemption(NEW, offer, asked.user_id, price)
            reply["redemption_id"] = NEW
        return reply

    def _revoked(self, asked: Asked, now: datetime) -> Reply:
        reply: Reply = {"status": "rejected", "redemption_id": _text(asked.redemption_id)}
        if asked.late(now):
            return reply | {"reason": "deadline_passed"}
        found = self._redemption(asked)
        if found is None:
            return reply | {"reason": "redemption_not_found"}
        reply |= _amounts(found.bill)
        reply |= {"redemption_id": found.id, "offer_id": str(found.offer_id), "user_id": str(found.user_id)}
        if found.revoked_at is not None:
            return reply | {"reason": "already_revoked"}
        found.revoked_at = now
        return reply | {"status": "accepted"}

    def _every_offer(self, asked: Asked, now: datetime) -> Reply:
        if asked.late(now):
            return {"status": "rejected", "reason": "deadline_passed", "offers": []}
        usable = [offer for offer in self.terms if self._reason(asked, offer, now) is None]
        bills = {offer: self._bill(asked, offer) for offer in usable}
        usable.sort(key=lambda offer: (-bills[offer].discount, self.codes[offer]))
        reply: Reply = {"status": "accepted", "offers": [self._quoted(offer, bills[offer]) for offer in usable]}
        if usable:
            best = usable[0]
            reply |= {"offer_id": str(best), "explanation": self._explanation(best, asked.user_id)}
            reply |= _amounts(bills[best])
        return reply

    def _quoted(self, offer: UUID, price: Bill) -> Reply:
        code = self.codes[offer]
        amounts = {"discount_amount": money(price.discount), "price_paid": money(price.paid)}
        return {"offer_id": str(offer), "code": code, "title": code} | amounts

    def _offer(self, asked: Asked) -> UUID | None:
        named = [offer for offer in self.terms if offer == asked.offer_id or self.codes[offer] == asked.code]
        return named[0] if named else None

    def _redemption(self, asked: Asked) -> Redemption | None:
        if asked.redeem_request_id is not None:
            return self.redemptions.get(asked.redeem_request_id)
        named = [one for one in self.redemptions.values() if one.id == str(asked.redemption_id)]
        return named[0] if named else None

    def _reason(self, asked: Asked, offer: UUID | None, now: datetime) -> str | None:
        if asked.late(now):
            return "deadline_passed"
        if offer is None:
            return "offer_not_found"
        terms, user = self.terms[offer], asked.user_id
        product = _product(asked, terms)
        refusals = {
            "offer_inactive": terms.status != "active",
            "offer_not_started": terms.starts_at is not None and terms.starts_at > now,
            "offer_ended": terms.ends_at is not None and terms.ends_at <= now,
            "product_not_covered": terms.apply_to == "products" and product is None,
            "quantity_exceeded": asked.quantity > ((product and product.quantity_max) or asked.quantity),
            "user_not_allowed": not self._allows(terms, user),
            "not_eligible": self.topups[user] < (terms.topups_needed or 0) if user else True,
            "per_user_limit_reached": terms.per_user is not None and self.uses(offer, user) >= terms.per_user,
            "offer_exhausted": terms.total is not None and self.uses(offer) >= terms.total,
        }
        return next((reason for reason, refused in refusals.items() if refused), None)

    def _allows(self, terms: Terms, user: UUID | None) -> bool:
        return terms.allow_all or (
            user is not None and (user in terms.users or bool(self.roles.get(user, frozenset()) & terms.roles))
        )

    def _bill(self, asked: Asked, offer: UUID) -> Bill:
        terms = self.terms[offer]
        product = _product(asked, terms)
        own_price = product.own_price_cents if product is not None else None
        return bill(asked.unit_cents, asked.quantity, terms.discount, terms.hundredths, own_price)

    def _explanation(self, offer: UUID, user: UUID | None) -> list[Reply]:
        needed = self.terms[offer].topups_needed
        if needed is None or user is None:
            return []
        rule = {"rule_key": "topups", "rule_type": "min_topups", "required": needed, "actual": self.topups[user]}
        return [rule | {"passed": self.topups[user] >= needed, "valid_until": None}]


def _product(asked: Asked, terms: Terms) -> Product | None:
    """The product the offer names, as precisely as it does."""
    for product_id, mapping_id in (
        (asked.product_id, asked.mapping_id),
        (asked.product_id, None),
        (None, asked.mapping_id),
    ):
        for product in terms.products:
            if (product.product_id, product.mapping_id) == (product_id, mapping_id):
                return product
    return None


def _blank(asked: Asked, now: datetime) -> Reply:
    """A reply that says nothing yet."""
    unsaid = ("reason", "offer_id", "user_id", "redemption_id", "price", "discount_amount", "price_paid")
    reply: Reply = dict.fromkeys((*unsaid, "explanation", "offers"))
    decided_at = now.isoformat().replace("+00:00", "Z")
    return reply | {"request_id": str(asked.request_id), "command": asked.command, "decided_at": decided_at}


def _named(asked: Asked) -> Reply:
    """What the request says itself, at the full price; each quote is explained."""
    reply: Reply = {"offer_id": _text(asked.offer_id), "user_id": _text(asked.user_id)}
    if asked.command == "quote":
        reply["explanation"] = []
    return reply if asked.command == "revoke" else reply | _amounts(Bill(asked.unit_cents * asked.quantity, 0))


def _amounts(price: Bill) -> Reply:
    return {
        "price": money(price.price),
        "discount_amount": money(price.discount),
        "price_paid": money(price.paid),
    }


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
