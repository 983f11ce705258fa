"""Loads the book of a batch from PostgreSQL and stores what the batch added. Maps rows to frozen values."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from services.redemption.book import Book, Pair
from services.redemption.decision import Offer, ProductTerms, Standing
from services.redemption.records import Redemption, StoredDecision
from services.redemption.requests import Request
from shared.database import Connection
from shared.events.redemption_replies import RuleResult
from shared.events.redemption_requests import QuoteRequest, RedeemRequest, RevokeRequest
from shared.sqlfile import load_queries

_queries = load_queries(__file__)
_DECISION_COLUMNS = [column.name for column in fields(StoredDecision)]
_REDEMPTION_COLUMNS = [column.name for column in fields(Redemption)]


async def load_book(connection: Connection, requests: Sequence[Request]) -> tuple[Book, datetime]:
    """Lock the offers a batch may change, and load what deciding it needs; with the instant of deciding."""
    purchases = [request for request in requests if isinstance(request, RedeemRequest | QuoteRequest)]
    revokes = [request for request in requests if isinstance(request, RevokeRequest)]
    redemption_ids = [request.redemption_id for request in revokes if request.redemption_id]
    redeemed_by = [request.redeem_request_id for request in revokes if request.redeem_request_id]

    redeems = [request for request in purchases if isinstance(request, RedeemRequest)]
    changed = await _find_offers(connection, redeems, redemption_ids, redeemed_by)
    await connection.execute(_queries.lock_offers, sorted(changed))
    now: datetime = await connection.fetchval(_queries.decision_time)

    quotes = [request for request in purchases if isinstance(request, QuoteRequest)]
    open_offers = await _open_offers(connection, quotes)
    read = changed | open_offers | await _find_offers(connection, quotes, [], [])
    book = Book()
    with_rules = await _load_offers(connection, book, read)
    await _load_standings(connection, book, _pairs(book, purchases, open_offers), quotes, with_rules, now)
    for row in await connection.fetch(_queries.load_redemptions, redemption_ids, redeemed_by):
        book.redemptions[row["id"]] = Redemption(*row)
        book.redeemed_by[row["request_id"]] = row["id"]
    for row in await connection.fetch(_queries.load_decisions, [request.request_id for request in requests]):
        book.decisions[row["request_id"]] = StoredDecision(*row)
    return book, now


async def store_book(connection: Connection, book: Book, now: datetime) -> None:
    """Store what the batch added."""
    if book.added_decisions:
        rows = sorted(book.added_decisions, key=lambda decision: decision.request_id)
        await connection.copy_records_to_table(
            "redemption_decisions", records=[_values(row) for row in rows], columns=_DECISION_COLUMNS
        )
    if book.added_redemptions:
        await connection.copy_records_to_table(
            "offer_redemptions",
            records=[astuple(row) for row in book.added_redemptions.values()],
            columns=_REDEMPTION_COLUMNS,
        )
    if book.revoked:
        await connection.execute(_queries.revoke, sorted(book.revoked), now)
    if book.usage_change:
        await connection.execute(
            _queries.change_usage, list(book.usage_change.keys()), list(book.usage_change.values())
        )


def _values(row: StoredDecision) -> tuple[object, ...]:
    return tuple(getattr(row, column) for column in _DECISION_COLUMNS)


async def _find_offers(
    connection: Connection,
    purchases: Sequence[RedeemRequest | QuoteRequest],
    redemption_ids: Sequence[UUID],
    redeemed_by: Sequence[UUID],
) -> set[UUID]:
    ids = {request.offer_id for request in purchases if request.offer_id}
    codes = {request.code for request in purchases if request.code}
    if not (ids or codes or redemption_ids or redeemed_by):
        return set()
    rows = await connection.fetch(_queries.find_offer_ids, list(ids), list(codes), redemption_ids, redeemed_by)
    return {row["id"] for row in rows}


async def _open_offers(connection: Connection, quotes: Iterable[QuoteRequest]) -> set[UUID]:
    if all(request.offer_id or request.code for request in quotes):
        return set()
    return {row["id"] for row in await connection.fetch(_queries.find_open_offer_ids)}


async def _load_offers(connection: Connection, book: Book, ids: Iterable[UUID]) -> set[UUID]:
    wanted = list(ids)
    products: defaultdict[UUID, list[ProductTerms]] = defaultdict(list)
    for row in await connection.fetch(_queries.load_products, wanted):
        products[row["offer_id"]].append(ProductTerms(*list(row)[1:]))
    with_rules = set()
    for row in await connection.fetch(_queries.load_offers, wanted):
        book.offers[row["id"]] = _offer(row, products[row["id"]])
        book.codes[row["code"]] = row["id"]
        book.uses_total[row["id"]] = row["usage_count"]
        if row["has_rules"]:
            with_rules.add(row["id"])
    return with_rules


def _offer(row: Record, products: Sequence[ProductTerms]) -> Offer:
    columns = [column.name for column in fields(Offer) if column.name != "products"]
    return Offer(**{name: row[name] for name in columns}, products=tuple(products))


def _pairs(book: Book, purchases: Iterable[RedeemRequest | QuoteRequest], open_offers: Iterable[UUID]) -> set[Pair]:
    pairs: set[Pair] = set()
    for request in purchases:
        offer = book.offer_of(request.offer_id, request.code)
        if offer is not None:
            pairs.add((offer.id, request.user_id))
        elif request.offer_id is None and request.code is None:
            pairs.update((offer_id, request.user_id) for offer_id in open_offers)
    return pairs


async def _load_standings(
    connection: Connection,
    book: Book,
    pairs: set[Pair],
    quotes: Sequence[QuoteRequest],
    with_rules: set[UUID],
    now: datetime,
) -> None:
    offer_ids, user_ids = _columns(pairs)
    rows = await connection.fetch(_queries.load_standings, offer_ids, user_ids, now)
    quoting = {request.user_id for request in quotes}
    asked = {
        (row["offer_id"], row["user_id"])
        for row in rows
        if row["offer_id"] in with_rules and (not row["is_member"] or row["user_id"] in quoting)
    }
    verdicts = await _explain(connection, asked, now)
    for row in rows:
        pair = (row["offer_id"], row["user_id"])
        eligible, explanation = verdicts.get(pair, (True, None))
        book.standings[pair] = Standing(row["allowed"], eligible, explanation)
        book.uses_by_user[pair] = row["uses"]


async def _explain(
    connection: Connection, pairs: set[Pair], now: datetime
) -> dict[Pair, tuple[bool, tuple[RuleResult, ...]]]:
    if not pairs:
        return {}
    results: defaultdict[Pair, list[RuleResult]] = defaultdict(list)
    logic: dict[Pair, str] = {}
    offer_ids, user_ids = _columns(pairs)
    for row in await connection.fetch(_queries.explain, offer_ids, user_ids, now):
        pair = (row["offer_id"], row["user_id"])
        logic[pair] = row["eligibility_logic"]
        results[pair].append(RuleResult.model_construct(**dict(list(row.items())[3:])))
    return {
        pair: ((all if logic[pair] == "all" else any)(rule.passed for rule in rules), tuple(rules))
        for pair, rules in results.items()
    }


def _columns(pairs: Iterable[Pair]) -> tuple[list[UUID], list[UUID]]:
    ordered = sorted(pairs)
    return [offer_id for offer_id, _ in ordered], [user_id for _, user_id in ordered]
