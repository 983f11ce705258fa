"""Loads the book of a batch from PostgreSQL and stores what the batch added. Maps rows to frozen values."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Final
from uuid import UUID

import orjson
from asyncpg import Record

from services.redemption.book import Book, Pair
from services.redemption.catalogue import Catalogue, Definition
from services.redemption.decision import Standing
from services.redemption.records import Redemption, StoredDecision
from services.redemption.requests import Request
from shared.database import Connection
from shared.events.redemption_replies import RuleResult
from shared.events.redemption_requests import QuoteRequest, RedeemRequest, RevokeRequest
from shared.sqlfile import load_queries

_queries = load_queries(__file__)
_PLAIN_COLUMNS: Final = [column.name for column in fields(StoredDecision) if column.name != "request"]
_DECISION_COLUMNS: Final = [*_PLAIN_COLUMNS, "request", "period"]
_REDEMPTION_COLUMNS: Final = [column.name for column in fields(Redemption)]
FEW: Final = 20
"""So many decisions are stored by one statement; more go faster by COPY."""
FREE: Final = Standing(allowed=True, eligible=True)
"""How everybody stands towards an offer that asks for nothing."""
_decision_values = attrgetter(*_PLAIN_COLUMNS)
_redemption_values = attrgetter(*_REDEMPTION_COLUMNS)


class OfferEdited(Exception):
    """An offer got limits while it was decided without its lock, or its code went to another: decide carefully."""


async def load_book(
    connection: Connection, catalogue: Catalogue, requests: Sequence[Request], *, careful: bool = False
) -> Book:
    """Lock what a batch's decisions rest on, and load what deciding needs.

    `careful`: lock the offers without limits too, ask no cache for codes, and look for redemptions whose
    decisions are kept no longer.

    Raises:
        OfferEdited: see there; not if `careful`.
    """
    redeems = [request for request in requests if isinstance(request, RedeemRequest)]
    quotes = [request for request in requests if isinstance(request, QuoteRequest)]
    revokes = [request for request in requests if isinstance(request, RevokeRequest)]

    purchases: list[RedeemRequest | QuoteRequest] = [*redeems, *quotes]
    codes = {request.code for request in purchases if request.code}
    codes_of = await catalogue.ids_of(codes) if codes and not careful else {}
    period = await connection.fetchval(_queries.decision_period)
    changed = await _find_offers(connection, codes_of, redeems, revokes)
    rows = await connection.fetch(_queries.lock_offers, sorted(changed), careful) if changed else []
    locked = {row["id"] for row in rows}
    open_offers = await _open_offers(connection, quotes)
    read = changed | open_offers | await _find_offers(connection, codes_of, quotes, [])
    if read - locked:
        rows += await connection.fetch(_queries.load_offers, list(read - locked))
    # Each row tells when it was locked: the last of them, when all were.
    now = max(row["decided_at"] for row in rows) if rows else await connection.fetchval(_queries.decision_time)

    book = Book(period=period, now=now, locked=locked)
    definitions = await _load_definitions(connection, catalogue, book, rows)
    if not codes_of.keys() <= book.codes.keys():
        raise OfferEdited
    await _load_standings(connection, book, _pairs(book, purchases, open_offers), quotes, definitions)
    await _load_redemptions(connection, book, revokes, redeems if careful else [])
    for row in await connection.fetch(_queries.load_decisions, [request.request_id for request in requests]):
        book.decisions[row["request_id"]] = _decision(row)
    return book


async def store_book(connection: Connection, book: Book) -> None:
    """Store what the batch added.

    Raises:
        OfferEdited: nothing may be stored; see there.
    """
    # In the order of the key, so that two batches with the same requests wait for each other, not in a circle.
    decisions = sorted(book.added_decisions, key=attrgetter("request_id.int"))
    decision_rows = [(*_decision_values(row), orjson.Fragment(row.request), book.period) for row in decisions]
    redemption_rows = [_redemption_values(row) for row in book.added_redemptions.values()]
    changes = {offer_id: change for offer_id, change in book.usage_change.items() if change}
    counts = [list(changes.keys()), list(changes.values()), [offer_id in book.locked for offer_id in changes]]
    if book.revoked:
        await connection.execute(_queries.revoke, sorted(book.revoked), book.now)
    if len(decision_rows) <= FEW:
        columns = [*_arrays(decision_rows, _DECISION_COLUMNS), *_arrays(redemption_rows, _REDEMPTION_COLUMNS), *counts]
        counted = await connection.fetch(_queries.store_few, *columns) if decision_rows else []
    else:
        await connection.copy_records_to_table("redemption_decisions", records=decision_rows, columns=_DECISION_COLUMNS)
        await connection.copy_records_to_table(
            "offer_redemptions", records=redemption_rows, columns=_REDEMPTION_COLUMNS
        )
        counted = await connection.fetch(_queries.change_usage, *counts) if changes else []
    if len(counted) < len(changes):
        raise OfferEdited


def _arrays(rows: Sequence[tuple[object, ...]], columns: Sequence[str]) -> list[list[object]]:
    """The rows' columns, each as one array."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in columns]


def _decision(row: Record) -> StoredDecision:
    values = {column.name: row[column.name] for column in fields(StoredDecision)}
    return StoredDecision(**values | {"request": orjson.dumps(row["request"])})


async def _find_offers(
    connection: Connection,
    codes_of: Mapping[str, UUID],
    purchases: Sequence[RedeemRequest | QuoteRequest],
    revokes: Sequence[RevokeRequest],
) -> set[UUID]:
    """The offers that requests may be about."""
    ids = {request.offer_id for request in purchases if request.offer_id}
    codes = {request.code for request in purchases if request.code}
    ids |= {codes_of[code] for code in codes if code in codes_of}
    unknown = codes - codes_of.keys()
    redemption_ids = [request.redemption_id for request in revokes if request.redemption_id]
    redeemed_by = [request.redeem_request_id for request in revokes if request.redeem_request_id]
    if unknown or redemption_ids or redeemed_by:
        rows = await connection.fetch(_queries.find_offer_ids, list(unknown), redemption_ids, redeemed_by)
        ids |= {row["id"] for row in rows}
    return ids


async def _open_offers(connection: Connection, quotes: Iterable[QuoteRequest]) -> set[UUID]:
    if all(request.offer_id or request.code for request in quotes):
        return set()
    return {row["id"] for row in await connection.fetch(_queries.find_open_offer_ids)}


async def _load_definitions(
    connection: Connection, catalogue: Catalogue, book: Book, rows: Sequence[Record]
) -> Mapping[UUID, Definition]:
    versions = {row["id"]: (row["definition_version"], row["rules_version"]) for row in rows}
    definitions = await catalogue.definitions(connection, versions)
    for row in rows:
        offer = definitions[row["id"]].offer
        book.offers[offer.id] = offer
        book.versions[offer.id] = row["definition_version"]
        book.codes[offer.code] = offer.id
        book.uses_total[offer.id] = row["usage_count"]
    return definitions


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
    pairs: Collection[Pair],
    quotes: Sequence[QuoteRequest],
    definitions: Mapping[UUID, Definition],
) -> None:
    asked = [pair for pair in pairs if _must_ask(definitions[pair[0]])]
    for pair in pairs:
        book.standings[pair] = FREE
    offer_ids, user_ids = _columns(asked)
    rows = await connection.fetch(_queries.load_standings, offer_ids, user_ids, book.now) if asked else []
    quoting = {request.user_id for request in quotes}
    unproven = {
        (row["offer_id"], row["user_id"])
        for row in rows
        if definitions[row["offer_id"]].has_rules and (not row["is_member"] or row["user_id"] in quoting)
    }
    verdicts = await _explain(connection, unproven, book)
    for row in rows:
        pair = (row["offer_id"], row["user_id"])
        eligible, explanation = verdicts.get(pair, (True, None))
        book.standings[pair] = Standing(row["allowed"], eligible, explanation)
        book.uses_by_user[pair] = row["uses"]


def _must_ask(definition: Definition) -> bool:
    """Whether users stand differently towards an offer."""
    return definition.has_rules or not definition.allow_all or definition.offer.per_user_limit is not None


async def _explain(
    connection: Connection, pairs: set[Pair], book: Book
) -> dict[Pair, tuple[bool, tuple[RuleResult, ...]]]:
    if not pairs:
        return {}
    results: defaultdict[Pair, list[RuleResult]] = defaultdict(list)
    logic: dict[Pair, str] = {}
    offer_ids, user_ids = _columns(pairs)
    for row in await connection.fetch(_queries.explain, offer_ids, user_ids, book.now):
        pair = (row["offer_id"], row["user_id"])
        logic[pair] = row["eligibility_logic"]
        results[pair].append(RuleResult.model_construct(**dict(list(row.items())[3:])))
    return {
        pair: ((all if logic[pair] == "all" else any)(rule.passed for rule in rules), tuple(rules))
        for pair, rules in results.items()
    }


async def _load_redemptions(
    connection: Connection, book: Book, revokes: Sequence[RevokeRequest], redeems: Sequence[RedeemRequest]
) -> None:
    """Those that revokes name, and those that redeems have already made."""
    rows: list[Record] = []
    if revokes:
        rows += await connection.fetch(
            _queries.load_redemptions,
            [request.redemption_id for request in revokes if request.redemption_id],
            [request.redeem_request_id for request in revokes if request.redeem_request_id],
        )
    if redeems:
        rows += await connection.fetch(_queries.load_redemptions_of, [request.request_id for request in redeems])
    for row in rows:
        book.redemptions[row["id"]] = Redemption(*row)
        book.redeemed_by[row["request_id"]] = row["id"]


def _columns(pairs: Iterable[Pair]) -> tuple[list[UUID], list[UUID]]:
    ordered = sorted(pairs)
    return [offer_id for offer_id, _ in ordered], [user_id for _, user_id in ordered]
