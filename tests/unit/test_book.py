"""The book of a batch, by hand: what a request is answered apart from the decision on its offer."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from services.redemption.book import Book
from services.redemption.requests import read_request

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
MONTH = date(2026, 11, 1)
REQUEST = {
    "request_id": str(UUID(int=7)),
    "user_id": str(UUID(int=8)),
    "offer_id": str(UUID(int=9)),
    "unit_price": "100.00",
}


def answer(book: Book, **fields: Any) -> dict[str, Any]:
    reply: dict[str, Any] = orjson.loads(book.answer(read_request(orjson.dumps(REQUEST | fields))).reply)
    return reply


def test_an_invalid_message_under_a_decided_request_id_is_invalid_before_it_is_a_conflict() -> None:
    """The contract's order of reasons; the first decision stays as it was."""
    book = Book(MONTH, NOW)
    assert answer(book)["reason"] == "offer_not_found"
    assert answer(book, quantity=2)["reason"] == "idempotency_conflict"
    assert answer(book, quantity=0)["reason"] == "invalid_request"
    assert answer(book)["reason"] == "offer_not_found"
    assert [decision.reason for decision in book.added_decisions] == ["offer_not_found"]


def test_a_valid_request_under_an_invalid_ones_request_id_is_a_conflict() -> None:
    book = Book(MONTH, NOW)
    assert answer(book, quantity=0)["reason"] == "invalid_request"
    assert answer(book)["reason"] == "idempotency_conflict"
    assert answer(book, quantity=0)["reason"] == "invalid_request"
    assert [decision.reason for decision in book.added_decisions] == ["invalid_request"]


def test_a_quote_of_every_offer_is_refused_after_its_deadline_as_any_other_request() -> None:
    at_the_deadline = answer(Book(MONTH, NOW), command="quote", offer_id=None, deadline=NOW.isoformat())
    assert (at_the_deadline["status"], at_the_deadline["reason"]) == ("accepted", None)
    late = answer(Book(MONTH, NOW), command="quote", offer_id=None, deadline=(NOW - TICK).isoformat())
    assert (late["status"], late["reason"], late["offers"]) == ("rejected", "deadline_passed", [])
    assert (late["price"], late["discount_amount"], late["price_paid"]) == ("100.00", "0.00", "100.00")
