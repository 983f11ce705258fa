"""`offers explain` and `offers rebuild` on a real database."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from shared.clock import utc_now
from shared.database import Pool
from tests.support.campaign import add_offer
from tests.support.commands import offers

TWO_TOPUPS = {"rule_type": "min_topups", "params": {"count": 2, "window_days": 30}}


async def user_with_topups(pool: Pool, count: int) -> UUID:
    user_id = uuid4()
    await pool.execute("INSERT INTO users (id, created_at) VALUES ($1, now())", user_id)
    for _ in range(count):
        await pool.execute(
            "INSERT INTO topup_requests (id, user_id, operator_id, amount, status, occurred_at)"
            " VALUES ($1, $2, $3, 10, 'succeeded', $4)",
            uuid4(),
            user_id,
            uuid4(),
            utc_now() - timedelta(days=1),
        )
    return user_id


@pytest.mark.parametrize(
    ("topups", "eligible", "missing"), [(1, False, "1 more topup within 30 days"), (2, True, None)]
)
async def test_explain_says_what_each_rule_asks_for_what_the_user_has_and_what_is_missing(
    database_url: str, pool: Pool, topups: int, eligible: bool, missing: str | None
) -> None:
    offer_id = await add_offer(pool, [TWO_TOPUPS], code="TWO")
    user_id = await user_with_topups(pool, topups)
    explained = json.loads(await offers(database_url, "explain", "TWO", str(user_id), "--json"))
    lapses = explained["rules"][0].pop("valid_until")
    assert explained.pop("valid_until") == lapses
    assert explained == {
        "offer_id": str(offer_id),
        "user_id": str(user_id),
        "eligible": eligible,
        "allowed": True,
        "eligibility_logic": "all",
        "rules": [
            {
                "rule_key": "rule-0",
                "rule_type": "min_topups",
                "passed": eligible,
                "required": 2,
                "actual": topups,
                "missing": missing,
            }
        ],
    }
    assert (lapses is not None) == eligible


async def test_explain_reads_as_a_table(database_url: str, pool: Pool) -> None:
    offer_id = await add_offer(pool, [TWO_TOPUPS], code="TWO", allow_all=False)
    user_id = await user_with_topups(pool, 1)
    output = await offers(database_url, "explain", str(offer_id), str(user_id))
    assert "TWO (active): not eligible" in output
    assert "open only to certain users and roles" in output
    assert " ".join(output.splitlines()[-1].split()) == "rule-0 min_topups 2 1 no 1 more topup within 30 days"


async def test_explain_says_until_when_the_user_is_eligible(database_url: str, pool: Pool) -> None:
    await add_offer(pool, [TWO_TOPUPS], code="MONTH")
    await add_offer(pool, [{"rule_type": "min_topups", "params": {"count": 2}}], code="EVER")
    user_id = await user_with_topups(pool, 2)
    lapses = await pool.fetchval("SELECT min(occurred_at) + interval '30 days' FROM topup_requests")
    month = await offers(database_url, "explain", "MONTH", str(user_id))
    assert f"MONTH (active): eligible until {lapses:%Y-%m-%d %H:%M:%S} UTC" in month
    ever = await offers(database_url, "explain", "EVER", str(user_id))
    assert "EVER (active): eligible, without end" in ever
    assert json.loads(await offers(database_url, "explain", "EVER", str(user_id), "--json"))["valid_until"] is None


async def test_rebuild_makes_members_of_those_who_are_eligible(database_url: str, pool: Pool) -> None:
    offer_id = await add_offer(pool, [TWO_TOPUPS], code="TWO")
    await user_with_topups(pool, 1)
    eligible = await user_with_topups(pool, 2)
    assert "2/2" in await offers(database_url, "rebuild", "TWO")
    members = await pool.fetch("SELECT user_id FROM offer_segment_members WHERE offer_id = $1", offer_id)
    assert [row["user_id"] for row in members] == [eligible]


async def test_rebuild_without_an_offer_that_has_rules_says_so(database_url: str, pool: Pool) -> None:
    await add_offer(pool)
    assert "nothing to rebuild" in await offers(database_url, "rebuild")
