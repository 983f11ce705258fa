"""The book of a batch: what the database held when the batch began, and what its decisions add.

Pure. Requests are answered in arrival order, each seeing what the ones before it used up; the handler
stores what was added in one transaction.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final, assert_never
from uuid import UUID

from services.redemption.decision import (
    STRANGER,
    Accepted,
    Decision,
    Offer,
    Rejected,
    Standing,
    Uses,
    decide,
    refuse_revoke,
)
from services.redemption.inputs import NO_OFFER, purchase_inputs, revoke_inputs
from services.redemption.records import Redemption, Reply, StoredDecision
from services.redemption.replies import (
    conflict_reply,
    invalid_reply,
    kept_reply,
    purchase_reply,
    reply_json,
    revoke_reply,
    stored_decision,
)
from services.redemption.requests import Asked, InvalidRequest, Request, asked_by
from shared.events.redemption_replies import QuotedOffer
from shared.events.redemption_requests import Purchase, QuoteRequest, RedeemRequest, RevokeRequest
from shared.named_ids import REDEMPTION_IDS, named_id

Pair = tuple[UUID, UUID]
UNUSED: Final = Uses(0, 0)
NOTHING: Final = "{}"
"""An invalid request is refused whatever the rest."""


Outcome = tuple[str, str, str | None]
"""Command, status and reason."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send for one request; `decision` is None for what leaves no trace (quotes)."""

    request_id: UUID
    reply: str
    decision: StoredDecision | None
    outcome: Outcome


@dataclass(slots=True)
class Book:
    """Everything a batch's decisions rest on, all made at one instant. Pairs are (offer id, user id).

    `period` is the one the decisions are kept in; `locked` are the offers nobody else counts meanwhile; `versions`
    are those of the offers' definitions.
    """

    period: date
    now: datetime
    locked: set[UUID] = field(default_factory=set)
    offers: dict[UUID, Offer] = field(default_factory=dict)
    versions: dict[UUID, int] = field(default_factory=dict)
    standings: dict[Pair, Standing] = field(default_factory=dict)
    codes: dict[str, UUID] = field(default_factory=dict)
    uses_total: Counter[UUID] = field(default_factory=Counter)
    uses_by_user: Counter[Pair] = field(default_factory=Counter)
    redemptions: dict[UUID, Redemption] = field(default_factory=dict)
    redeemed_by: dict[UUID, UUID] = field(default_factory=dict)
    decisions: dict[UUID, StoredDecision] = field(default_factory=dict)
    added_decisions: list[StoredDecision] = field(default_factory=list)
    added_redemptions: dict[UUID, Redemption] = field(default_factory=dict)
    revoked: set[UUID] = field(default_factory=set)
    usage_change: Counter[UUID] = field(default_factory=Counter)

    def answer(self, request: Request) -> Answer:
        """Answer the next request, and enter what it changes."""
        if isinstance(request, QuoteRequest) or request.command == "quote":
            quote = self._quote(request)
            return Answer(request.request_id, reply_json(quote).decode(), None, ("quote", quote.status, quote.reason))
        asked = asked_by(request)
        stored = self.decisions.get(request.request_id)
        if stored is None:
            stored = self._enter(request.request_id, asked, *self._decide(request))
        elif stored.content_hash != asked.hash:
            stored = stored_decision(request.request_id, asked, self._refuse_reuse(request))
        return Answer(request.request_id, stored.reply, stored, (stored.command, stored.status, stored.reason))

    def offer_of(self, offer_id: UUID | None, code: str | None) -> Offer | None:
        """The offer a request names."""
        found = offer_id if offer_id is not None else self.codes.get(code or "")
        return self.offers.get(found) if found is not None else None

    def redemption_of(self, request: RevokeRequest) -> Redemption | None:
        """The redemption a revoke names."""
        found = request.redemption_id
        if found is None and request.redeem_request_id is not None:
            found = self.redeemed_by.get(request.redeem_request_id)
        return self.redemptions.get(found) if found is not None else None

    def _decide(self, request: RedeemRequest | RevokeRequest | InvalidRequest) -> tuple[Reply, str | None]:
        """The reply and what it rests on."""
        match request:
            case RedeemRequest():
                return self._redeem(request)
            case RevokeRequest():
                return self._revoke(request)
            case InvalidRequest():
                return invalid_reply(request, self.now), NOTHING
            case _:
                assert_never(request)

    def _refuse_reuse(self, request: Request) -> Reply:
        """Other content under a request_id that was decided; what is no request at all is told so first."""
        if isinstance(request, InvalidRequest):
            return invalid_reply(request, self.now)
        return conflict_reply(request, self.now)

    def _judge(self, purchase: Purchase, offer: Offer | None) -> tuple[Decision, Standing, Uses]:
        if offer is None:
            return decide(purchase, None, STRANGER, UNUSED, self.now), STRANGER, UNUSED
        pair = (offer.id, purchase.user_id)
        standing = self.standings[pair]
        uses = Uses(self.uses_total[offer.id], self.uses_by_user[pair])
        return decide(purchase, offer, standing, uses, self.now), standing, uses

    def _redeem(self, request: RedeemRequest) -> tuple[Reply, str | None]:
        kept = self.redeemed_by.get(request.request_id)
        if kept is not None:
            return kept_reply(request, self.redemptions[kept]), None
        offer = self.offer_of(request.offer_id, request.code)
        decision, standing, uses = self._judge(request, offer)
        inputs = NO_OFFER if offer is None else purchase_inputs(self.versions.get(offer.id, 0), standing, uses)
        if isinstance(decision, Rejected):
            return purchase_reply(request, offer, decision, standing, self.now), inputs
        assert offer is not None
        redemption = Redemption(
            id=named_id(REDEMPTION_IDS, str(request.request_id)),
            request_id=request.request_id,
            offer_id=offer.id,
            user_id=request.user_id,
            operator_product_id=request.operator_product_id,
            supplier_product_mapping_id=request.supplier_product_mapping_id,
            quantity=request.quantity,
            price_paid=decision.price.price_paid,
            discount_amount=decision.price.discount_amount,
            revoked_at=None,
            created_at=self.now,
        )
        self.redemptions[redemption.id] = self.added_redemptions[redemption.id] = redemption
        self.redeemed_by[request.request_id] = redemption.id
        self._count(redemption, 1)
        return purchase_reply(request, offer, decision, standing, self.now, redemption.id), inputs

    def _revoke(self, request: RevokeRequest) -> tuple[Reply, str | None]:
        redemption = self.redemption_of(request)
        inputs = revoke_inputs(redemption)
        reason = refuse_revoke(request, redemption, self.now)
        if redemption is None or reason is not None:
            return revoke_reply(request, redemption, self.now, reason), inputs
        revoked = replace(redemption, revoked_at=self.now)
        self.redemptions[revoked.id] = revoked
        if revoked.id in self.added_redemptions:
            self.added_redemptions[revoked.id] = revoked
        else:
            self.revoked.add(revoked.id)
        self._count(revoked, -1)
        return revoke_reply(request, revoked, self.now, None), inputs

    def _count(self, redemption: Redemption, change: int) -> None:
        self.uses_total[redemption.offer_id] += change
        self.uses_by_user[redemption.offer_id, redemption.user_id] += change
        self.usage_change[redemption.offer_id] += change

    def _quote(self, request: QuoteRequest | InvalidRequest) -> Reply:
        if isinstance(request, InvalidRequest):
            return invalid_reply(request, self.now)
        if request.offer_id is None and request.code is None:
            return self._quote_all(request)
        offer = self.offer_of(request.offer_id, request.code)
        decision, standing, _ = self._judge(request, offer)
        return purchase_reply(request, offer, decision, standing, self.now)

    def _quote_all(self, request: QuoteRequest) -> Reply:
        late = request.deadline is not None and self.now > request.deadline
        usable = sorted(self._usable(request), key=lambda quoted: (-quoted.discount_amount, quoted.code))
        reply = Reply(
            request_id=request.request_id,
            command="quote",
            status="rejected" if late else "accepted",
            reason="deadline_passed" if late else None,
            user_id=request.user_id,
            price=request.unit_price * request.quantity,
            decided_at=self.now,
            explanation=[],
            offers=usable,
        )
        if not usable:
            return replace(reply, discount_amount=Decimal(0), price_paid=reply.price)
        best = usable[0]
        return replace(
            reply,
            offer_id=best.offer_id,
            discount_amount=best.discount_amount,
            price_paid=best.price_paid,
            explanation=self.standings[best.offer_id, request.user_id].explanation or (),
        )

    def _usable(self, request: QuoteRequest) -> Iterable[QuotedOffer]:
        for offer in self.offers.values():
            if (offer.id, request.user_id) not in self.standings:
                continue
            decision, _, _ = self._judge(request, offer)
            if isinstance(decision, Accepted):
                yield QuotedOffer(
                    offer_id=offer.id,
                    code=offer.code,
                    title=offer.title,
                    discount_amount=decision.price.discount_amount,
                    price_paid=decision.price.price_paid,
                )

    def _enter(self, request_id: UUID, asked: Asked, reply: Reply, inputs: str | None) -> StoredDecision:
        stored = stored_decision(request_id, asked, reply, inputs)
        self.decisions[request_id] = stored
        self.added_decisions.append(stored)
        return stored
