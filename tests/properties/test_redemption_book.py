"""The whole life of the book of redemptions, held against a book kept by hand from the contract.

Requests, repeats, revocations, redeliveries and edits come in any order, on a clock the test sets. After each step
every reply and everything stored must be the model's. REDEMPTION_BOOK_EXAMPLES sets how many lives are tried.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator

import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from shared.database import Pool
from tests.properties.book_strategies import OFFERS, ROLES, lives
from tests.support.book_model import BookModel
from tests.support.book_steps import Step
from tests.support.book_terms import decimal
from tests.support.book_world import World
from tests.support.clock import ClockedDatabase, clocked_database

EXAMPLES = int(os.environ.get("REDEMPTION_BOOK_EXAMPLES", "120"))


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[ClockedDatabase]:
    async with clocked_database(empty_database_url) as clocked:
        yield clocked


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=lives)
async def test_replies_and_rows_are_the_models_after_every_step(database: ClockedDatabase, steps: list[Step]) -> None:
    world = World(database, OFFERS, ROLES)
    await world.begin()
    for step in steps:
        await world.wait(step.wait)
        await world.do(step.do)
        await check_uses(world.pool, world.model)
        await check_redemptions(world.pool, world.model)
        await check_decisions(world.pool, world.model)


async def check_uses(pool: Pool, model: BookModel) -> None:
    """Each offer counts its standing redemptions, and each user has as many as the model says."""
    counted = {row["id"]: row["usage_count"] for row in await pool.fetch("SELECT id, usage_count FROM offers")}
    assert counted == {offer: model.uses(offer) for offer in model.terms}
    rows = await pool.fetch("SELECT offer_id, user_id FROM offer_redemptions WHERE revoked_at IS NULL")
    standing = Counter((row["offer_id"], row["user_id"]) for row in rows)
    pairs = [(offer, user) for offer in model.terms for user in model.roles]
    assert standing == Counter({pair: uses for pair in pairs if (uses := model.uses(*pair))})


async def check_redemptions(pool: Pool, model: BookModel) -> None:
    """One row for each accepted redeem, with its prices, and its revocation if any."""
    rows = await pool.fetch(
        "SELECT request_id, id::text, offer_id, user_id, price_paid, discount_amount, revoked_at FROM offer_redemptions"
    )
    assert {row["request_id"]: tuple(row)[1:] for row in rows} == {
        request_id: (
            made.id,
            made.offer_id,
            made.user_id,
            decimal(made.bill.paid),
            decimal(made.bill.discount),
            made.revoked_at,
        )
        for request_id, made in model.redemptions.items()
    }


async def check_decisions(pool: Pool, model: BookModel) -> None:
    """One decision for each request_id that was answered, with the first answer's bytes and instant."""
    rows = await pool.fetch(
        "SELECT request_id, reply, decided_at, command, status, reason, offer_id::text, user_id::text,"
        " redemption_id::text FROM redemption_decisions"
    )
    columns = ("command", "status", "reason", "offer_id", "user_id", "redemption_id")
    stored = {row["request_id"]: (row["reply"].encode(), row["decided_at"]) for row in rows}
    assert stored == {request_id: (kept.reply, kept.decided_at) for request_id, kept in model.answered.items()}
    for row in rows:
        reply = orjson.loads(row["reply"])
        assert [row[column] for column in columns] == [reply[column] for column in columns]
