"""Runs queries.sql: offers and their lists in and out of the database, in the caller's transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.admin.models import (
    Audience,
    Member,
    Offer,
    OfferDraft,
    OfferSummary,
    Operator,
    Product,
    Status,
)
from services.admin.tally import People
from shared.database import Connection, Pool
from shared.histories import read_flags, read_ids, read_times
from shared.sqlfile import load_queries

_queries = load_queries(__file__)


async def list_offers(
    pool: Pool, status: Status | None, search: str | None, after: UUID | None, limit: int
) -> list[OfferSummary]:
    """At most `limit` offers, newest first, after the one `after` names."""
    rows = await pool.fetch(_queries.list_offers, status, search, after, limit)
    return [OfferSummary.model_validate(dict(row)) for row in rows]


async def load_offer(source: Connection | Pool, offer_id: UUID) -> Offer | None:
    """One offer with its lists."""
    row = await source.fetchrow(_queries.load_offer, offer_id)
    return Offer.model_validate(dict(row)) if row else None


async def lock_offer(connection: Connection, offer_id: UUID) -> bool:
    """Take the offer's lock for this transaction; false if there is no such offer."""
    return await connection.fetchval(_queries.lock_offer, offer_id) is not None


async def most_uses_by_one_user(connection: Connection, offer_id: UUID) -> int:
    """The greatest number of standing redemptions any one user has of the offer."""
    most: int = await connection.fetchval(_queries.most_uses_by_one_user, offer_id)
    return most


async def insert_offer(connection: Connection, draft: OfferDraft, created_by: str) -> UUID:
    """Store a new draft with its lists and return its id."""
    offer_id: UUID = await connection.fetchval(_queries.insert_offer, *_columns(draft), created_by)
    await _put_lists(connection, offer_id, draft)
    return offer_id


async def update_offer(connection: Connection, offer_id: UUID, draft: OfferDraft) -> None:
    """Make the stored offer what the draft says, touching only what differs in its lists."""
    await connection.execute(_queries.update_offer, offer_id, *_columns(draft))
    await _put_lists(connection, offer_id, draft)


async def update_status(connection: Connection, offer_id: UUID, status: Status) -> None:
    """Give the offer another status."""
    await connection.execute(_queries.update_status, offer_id, status)


async def delete_draft(source: Connection | Pool, offer_id: UUID, owner: str, revision: int | None = None) -> None:
    """Forget somebody's draft of the offer, if there is one, with the revision given."""
    await source.execute(_queries.delete_draft, offer_id, owner, revision)


async def list_operators(pool: Pool) -> list[Operator]:
    """Every operator that has a name, by name."""
    return [Operator.model_validate(dict(row)) for row in await pool.fetch(_queries.list_operators)]


async def put_operator(pool: Pool, operator_id: UUID, name: str) -> Operator:
    """Store an operator's name; the same name again changes nothing."""
    row = await pool.fetchrow(_queries.put_operator, operator_id, name)
    assert row is not None, "an upsert always has a row"
    return Operator.model_validate(dict(row))


async def list_members(pool: Pool, offer_id: UUID, after: UUID | None, limit: int) -> list[Member] | None:
    """At most `limit` members by user id, after the one given; None if there is no such offer."""
    rows = await pool.fetch(_queries.list_members, offer_id, after, limit)
    if not rows and not await pool.fetchval(_queries.offer_exists, offer_id):
        return None
    return [Member.model_validate(dict(row)) for row in rows]


@dataclass(frozen=True, slots=True)
class PreviewStart:
    """The instant at which a preview judges, the statement that gives another transaction its snapshot, and
    the id in the middle of all users'."""

    now: datetime
    same_snapshot: str
    middle: UUID


async def start_preview(connection: Connection) -> PreviewStart:
    """Begin a preview in a transaction that keeps its snapshot."""
    row = await connection.fetchrow(_queries.start_preview)
    assert row is not None, "a query without FROM always has a row"
    return PreviewStart(row["now"], row["same_snapshot"], row["middle"] or UUID(int=0))


async def load_people(
    connection: Connection, first: UUID, last: UUID, limit: int, roles: Sequence[str], other_roles: Sequence[str]
) -> People:
    """At most `limit` users with ids from first to last, by id."""
    row = await connection.fetchrow(_queries.load_people, first, last, limit, roles, other_roles)
    assert row is not None, "an aggregate always has a row"
    return People(
        ids=read_ids(row["ids"]),
        registered_us=read_times(row["registered"]),
        role_holders=read_flags(row["role_holders"]),
        other_role_holders=read_flags(row["other_role_holders"]),
    )


def _columns(draft: OfferDraft) -> Sequence[object]:
    return (
        draft.code,
        draft.title,
        draft.description,
        draft.discount_type,
        draft.discount_value,
        draft.per_user_limit,
        draft.total_usage_limit,
        draft.apply_to,
        draft.allow_all,
        draft.eligibility_logic,
        draft.starts_at,
        draft.ends_at,
        [rule for rule in _rules(draft) if not rule.pop("enabled")],
    )


async def _put_lists(connection: Connection, offer_id: UUID, draft: OfferDraft) -> None:
    products = [_product(product) for product in draft.products]
    rules = [rule for rule in _rules(draft) if rule.pop("enabled")]
    rule_keys = [rule["rule_key"] for rule in rules]
    await connection.execute(_queries.delete_other_rules, offer_id, rule_keys)
    await connection.execute(_queries.put_rules, offer_id, rules)
    await connection.execute(_queries.delete_other_users, offer_id, draft.allowed_users)
    await connection.execute(_queries.add_users, offer_id, draft.allowed_users)
    await connection.execute(_queries.delete_other_roles, offer_id, draft.allowed_roles)
    await connection.execute(_queries.add_roles, offer_id, draft.allowed_roles)
    await connection.execute(_queries.delete_other_products, offer_id, products)
    await connection.execute(_queries.add_products, offer_id, products)


def _rules(audience: Audience) -> list[dict[str, Any]]:
    return [
        rule.model_dump(mode="json", exclude_none=True) | {"position": position}
        for position, rule in enumerate(audience.rules)
    ]


def _product(product: Product) -> dict[str, Any]:
    return product.model_dump(mode="json")
