"""Edits that come between reading an offer and counting its uses: nobody is decided by what no longer holds."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from services.redemption.catalogue import Catalogue
from services.redemption.handler import RedemptionHandler
from services.redemption.routing import ReplyRouter
from shared.broker import Publisher
from shared.database import Pool
from tests.support.campaign import add_offer
from tests.support.deciding import NOWHERE, replies_to
from tests.support.requests import redeem
from tests.support.waiting import until

LOCK_AWAITED = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


def handler(pool: Pool, catalogue: Catalogue) -> RedemptionHandler:
    return RedemptionHandler(pool, ReplyRouter(Publisher(NOWHERE, "test")), "", catalogue)


async def statuses(handle: RedemptionHandler, *requests: dict[str, Any]) -> list[tuple[str, str | None]]:
    replies = [orjson.loads(reply) for reply in await replies_to(handle, [orjson.dumps(each) for each in requests])]
    return [(reply["status"], reply["reason"]) for reply in replies]


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("total_usage_limit", "offer_exhausted"), ("per_user_limit", "per_user_limit_reached")],
)
async def test_a_limit_given_while_a_batch_counts_without_the_lock_holds_for_it(
    pool: Pool, limit: str, reason: str
) -> None:
    offer_id, user = await add_offer(pool), uuid4()
    handle = handler(pool, Catalogue())
    async with asyncio.TaskGroup() as tasks, pool.acquire() as admin, admin.transaction():
        await admin.execute(f"UPDATE offers SET {limit} = 1 WHERE id = $1", offer_id)  # noqa: S608
        deciding = tasks.create_task(statuses(handle, *(redeem(offer_id, user) for _ in range(3))))
        await until(pool, LOCK_AWAITED, True)
    assert deciding.result() == [("accepted", None), ("rejected", reason), ("rejected", reason)]
    assert await pool.fetchval("SELECT usage_count FROM offers") == 1


async def test_an_offer_without_limits_is_decided_while_somebody_holds_its_row(pool: Pool) -> None:
    """Not counted, though: a refused request needs no lock at all."""
    offer_id = await add_offer(pool, status="paused")
    async with pool.acquire() as admin, admin.transaction():
        await admin.execute("UPDATE offers SET usage_count = usage_count WHERE id = $1", offer_id)
        assert await statuses(handler(pool, Catalogue()), redeem(offer_id)) == [("rejected", "offer_inactive")]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        ("UPDATE offers SET status = 'paused' WHERE id = $1", ("rejected", "offer_inactive")),
        ("UPDATE offers SET ends_at = now() WHERE id = $1", ("rejected", "offer_ended")),
        ("UPDATE offers SET allow_all = false WHERE id = $1", ("rejected", "user_not_allowed")),
        ("UPDATE offers SET apply_to = 'products' WHERE id = $1", ("rejected", "product_not_covered")),
        (
            "INSERT INTO offer_products (offer_id, operator_product_id, max_quantity_per_purchase)"
            " VALUES ($1, '00000000-0000-0000-0000-000000000007', 1)",
            ("rejected", "quantity_exceeded"),
        ),
        (
            "INSERT INTO offer_eligibility_rules (offer_id, rule_key, rule_type, params)"
            """ VALUES ($1, 'a', 'min_topups', '{"count": 1}')""",
            ("rejected", "not_eligible"),
        ),
    ],
)
async def test_an_edit_by_whatever_hand_counts_from_the_next_batch_on(
    pool: Pool, edit: str, expected: tuple[str, str]
) -> None:
    """The catalogue has seen the offer before, and nobody tells it of the edit."""
    offer_id = await add_offer(pool)
    handle = handler(pool, Catalogue())
    purchase: dict[str, Any] = {"operator_product_id": str(UUID(int=7)), "quantity": 2}
    assert await statuses(handle, redeem(offer_id, **purchase)) == [("accepted", None)]
    await pool.execute(edit, offer_id)
    assert await statuses(handle, redeem(offer_id, **purchase)) == [expected]


async def test_a_code_that_went_to_another_offer_names_that_one(pool: Pool) -> None:
    old, new = await add_offer(pool, code="SUMMER"), await add_offer(pool, code="LATER")
    handle = handler(pool, Catalogue())
    assert await statuses(handle, redeem(None, code="SUMMER")) == [("accepted", None)]
    await pool.execute("UPDATE offers SET code = 'SPRING' WHERE id = $1", old)
    assert await statuses(handle, redeem(None, code="SUMMER")) == [("rejected", "offer_not_found")]
    await pool.execute("UPDATE offers SET code = 'SUMMER' WHERE id = $1", new)
    assert await statuses(handle, redeem(None, code="SUMMER")) == [("accepted", None)]
    rows = await pool.fetch("SELECT id, usage_count FROM offers")
    assert {row["id"]: row["usage_count"] for row in rows} == {old: 1, new: 1}
