"""Reading over HTTP: pages of offers and members, explanations, and previews against hand-made counts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.admin.models import Preview
from services.admin.previewing import preview
from shared.database import Pool
from tests.support.admin import TWO_TOPUPS, created, editing

OPERATOR = UUID(int=77)
SPENT_30 = {"rule_key": "spent", "rule_type": "min_spent", "params": {"amount": "30.00", "window_days": 10}}
NEW = {"rule_key": "new", "rule_type": "new_user", "params": {"account_age_days": 7}}


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client."""
    async with editing(pool) as opened:
        yield opened


async def add_user(pool: Pool, number: int, age_days: int, roles: list[str], *topups: tuple[str, int]) -> None:
    """A user with topups of (amount, days ago)."""
    now = datetime.now(UTC)
    user_id = UUID(int=number)
    await pool.execute(
        "INSERT INTO users (id, created_at, roles) VALUES ($1, $2, $3)", user_id, now - timedelta(days=age_days), roles
    )
    for amount, days_ago in topups:
        await pool.execute(
            "INSERT INTO topup_requests (id, user_id, operator_id, amount, status, occurred_at)"
            " VALUES ($1, $2, $3, $4::text::numeric, 'succeeded', $5)",
            uuid4(),
            user_id,
            OPERATOR,
            amount,
            now - timedelta(days=days_ago, minutes=1),
        )


@pytest.fixture
async def five_users(pool: Pool) -> None:
    """1: new, rich. 2: two small topups. 3: rich once, long ago. 4: nothing. 5: new, nothing."""
    await add_user(pool, 1, 2, ["vip"], ("20.00", 1), ("15.00", 2))
    await add_user(pool, 2, 90, ["vip"], ("1.00", 1), ("1.00", 50))
    await add_user(pool, 3, 90, [], ("500.00", 11))
    await add_user(pool, 4, 90, [])
    await add_user(pool, 5, 1, [])


def users(*numbers: int) -> list[str]:
    return [str(UUID(int=number)) for number in numbers]


@pytest.mark.usefixtures("five_users")
@pytest.mark.parametrize(
    ("audience", "allowed", "matching", "per_rule"),
    [
        ({}, 5, [1, 2, 3, 4, 5], []),
        ({"rules": [TWO_TOPUPS]}, 5, [1, 2], [2]),
        ({"rules": [TWO_TOPUPS, SPENT_30, NEW]}, 5, [1], [2, 1, 2]),
        ({"rules": [TWO_TOPUPS, SPENT_30, NEW], "eligibility_logic": "any"}, 5, [1, 2, 5], [2, 1, 2]),
        ({"rules": [TWO_TOPUPS], "allow_all": False}, 0, [], [2]),
        ({"rules": [NEW], "allow_all": False, "allowed_roles": ["vip"]}, 2, [1], [2]),
        ({"allow_all": False, "allowed_roles": ["vip"], "allowed_users": users(4, 99)}, 3, [1, 2, 4], []),
    ],
)
async def test_a_preview_counts_and_names_who_matches(
    client: httpx.AsyncClient, audience: dict[str, Any], allowed: int, matching: list[int], per_rule: list[int]
) -> None:
    answer = await client.post("/api/offers/preview", json=audience)
    assert answer.status_code == 200
    found = answer.json()
    assert found["total_users"] == 5
    assert found["allowed"] == allowed
    assert found["matching"] == len(matching)
    assert found["sample"] == users(*matching)
    assert [(one["rule_key"], one["matching"]) for one in found["rules"]] == [
        (given["rule_key"], count) for given, count in zip(audience.get("rules", []), per_rule, strict=True)
    ]


@pytest.mark.usefixtures("five_users")
async def test_a_preview_samples_no_more_than_asked_and_stores_nothing(client: httpx.AsyncClient, pool: Pool) -> None:
    found = (await client.post("/api/offers/preview", json={"sample_size": 2})).json()
    assert (found["matching"], found["sample"]) == (5, users(1, 2))
    assert await pool.fetchval("SELECT count(*) FROM offers") == 0


async def test_a_preview_among_no_users_counts_zero(client: httpx.AsyncClient) -> None:
    found = (await client.post("/api/offers/preview", json={"rules": [TWO_TOPUPS]})).json()
    assert found == {
        "total_users": 0,
        "allowed": 0,
        "matching": 0,
        "rules": [{"rule_key": "two-topups", "rule_type": "min_topups", "matching": 0}],
        "sample": [],
        "comparison": None,
    }


@pytest.mark.usefixtures("five_users")
async def test_a_preview_leaves_out_transactions_of_users_nobody_knows(client: httpx.AsyncClient, pool: Pool) -> None:
    await pool.execute("DELETE FROM users WHERE id = $1", UUID(int=2))
    found = (await client.post("/api/offers/preview", json={"rules": [TWO_TOPUPS]})).json()
    assert (found["total_users"], found["matching"], found["sample"]) == (4, 1, users(1))


@pytest.mark.usefixtures("five_users")
async def test_a_preview_that_takes_too_long_is_stopped_and_leaves_nothing_behind(pool: Pool) -> None:
    wanted = Preview.model_validate({"rules": [TWO_TOPUPS]})
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE topup_requests")
        with pytest.raises(TimeoutError):
            await preview(pool, wanted, timeout_s=0.3)
    assert pool.get_idle_size() == pool.get_size()
    assert (await preview(pool, wanted, timeout_s=60.0)).matching == 2


@pytest.mark.usefixtures("five_users")
async def test_eligibility_is_explained_rule_by_rule(client: httpx.AsyncClient) -> None:
    offer = await created(client, rules=[TWO_TOPUPS, SPENT_30])
    found = (await client.get(f"/api/offers/{offer['id']}/eligibility/{UUID(int=2)}")).json()
    assert found == {
        "offer_id": offer["id"],
        "user_id": str(UUID(int=2)),
        "eligible": False,
        "allowed": True,
        "eligibility_logic": "all",
        "valid_until": None,
        "rules": [
            {
                "rule_key": "two-topups",
                "rule_type": "min_topups",
                "passed": True,
                "required": 2,
                "actual": 2,
                "valid_until": None,
                "missing": None,
            },
            {
                "rule_key": "spent",
                "rule_type": "min_spent",
                "passed": False,
                "required": "30.00",
                "actual": "1.00",
                "valid_until": None,
                "missing": "29.00 more spent within 10 days",
            },
        ],
    }


@pytest.mark.usefixtures("five_users")
async def test_an_eligible_user_is_so_until_the_first_rule_lapses(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await created(client, rules=[TWO_TOPUPS, SPENT_30])
    found = (await client.get(f"/api/offers/{offer['id']}/eligibility/{UUID(int=1)}")).json()
    assert (found["eligible"], found["rules"][1]["passed"]) == (True, True)
    second = await pool.fetchval("SELECT min(occurred_at) FROM topup_requests WHERE user_id = $1", UUID(int=1))
    assert datetime.fromisoformat(found["valid_until"]) == second + timedelta(days=10)
    assert found["rules"][1]["valid_until"] == found["valid_until"]


async def test_a_user_nobody_knows_is_eligible_where_everybody_is(client: httpx.AsyncClient) -> None:
    everybody = await created(client)
    listed = await created(client, code="LISTED", allow_all=False, allowed_users=users(1))
    for offer, eligible in ((everybody, True), (listed, False)):
        found = (await client.get(f"/api/offers/{offer['id']}/eligibility/{uuid4()}")).json()
        assert (found["eligible"], found["allowed"], found["rules"]) == (eligible, eligible, [])


async def test_members_come_in_pages_by_id_without_the_lapsed(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await created(client)
    until = datetime(2999, 1, 1, tzinfo=UTC)
    entered = datetime(2026, 1, 1, tzinfo=UTC)
    for number, valid_until, version in (
        (1, until, offer["rules_version"]),
        (2, datetime(2020, 1, 1, tzinfo=UTC), offer["rules_version"]),
        (3, datetime.max.replace(tzinfo=UTC), offer["rules_version"] - 1),
    ):
        await pool.execute(
            "INSERT INTO offer_segment_members VALUES ($1, $2, $3, $4, $5)",
            UUID(offer["id"]),
            UUID(int=number),
            valid_until,
            version,
            entered,
        )
    await pool.execute("UPDATE offer_segment_members SET valid_until = 'infinity' WHERE user_id = $1", UUID(int=3))
    url = f"/api/offers/{offer['id']}/members"
    first = (await client.get(url, params={"limit": 1})).json()
    assert first == {
        "items": [
            {
                "user_id": users(1)[0],
                "valid_until": "2999-01-01T00:00:00Z",
                "entered_at": "2026-01-01T00:00:00Z",
                "current": True,
            }
        ],
        "next": users(1)[0],
    }
    second = (await client.get(url, params={"limit": 1, "after": first["next"]})).json()
    assert [(m["user_id"], m["valid_until"], m["current"]) for m in second["items"]] == [(users(3)[0], None, False)]
    assert second["next"] is None
    assert (await client.get(url, params={"after": users(3)[0]})).json() == {"items": [], "next": None}


async def test_offers_come_newest_first_a_page_at_a_time_though_created_at_once(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    ids = [(await created(client, code=f"C{number}"))["id"] for number in range(5)]
    together = datetime(2026, 1, 1, tzinfo=UTC)
    await pool.execute("UPDATE offers SET created_at = $1 WHERE code IN ('C1', 'C2', 'C3')", together)
    await pool.execute("UPDATE offers SET created_at = $1 WHERE code = 'C0'", together - timedelta(days=1))
    expected = [ids[4], *sorted(ids[1:4]), ids[0]]
    seen: list[str] = []
    after = None
    for size in (2, 2, 1):
        page = (await client.get("/api/offers", params={"limit": 2} | ({"after": after} if after else {}))).json()
        assert len(page["items"]) == size
        seen += [offer["id"] for offer in page["items"]]
        after = page["next"]
    assert after is None
    assert seen == expected
    assert "rules" not in page["items"][0]


async def test_offers_are_found_by_status_and_by_part_of_code_or_title(client: httpx.AsyncClient) -> None:
    spring = await created(client, code="SPRING_10%", title="Flowers")
    await created(client, code="SUMMER", title="Beach")
    await client.post(f"/api/offers/{spring['id']}/publish")

    async def codes(**filters: str) -> list[str]:
        return [offer["code"] for offer in (await client.get("/api/offers", params=filters)).json()["items"]]

    assert await codes() == ["SUMMER", "SPRING_10%"]
    assert await codes(status="active") == ["SPRING_10%"]
    assert await codes(q="spr") == ["SPRING_10%"]
    assert await codes(q="BEACH") == ["SUMMER"]
    assert await codes(q="_10%") == ["SPRING_10%"]
    assert await codes(q="%") == ["SPRING_10%"]
    assert await codes(q="spr", status="draft") == []


async def test_a_rule_stored_by_other_means_is_shown_as_it_is(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await created(client)
    await pool.execute(
        "INSERT INTO offer_eligibility_rules (offer_id, rule_key, rule_type, params)"
        " VALUES ($1, 'Old Rule', 'min_spent', '{\"amount\": 50}')",
        UUID(offer["id"]),
    )
    read = (await client.get(f"/api/offers/{offer['id']}")).json()
    assert read["rules"] == [
        {"rule_key": "Old Rule", "rule_type": "min_spent", "params": {"amount": 50}, "description": "", "enabled": True}
    ]


async def test_the_rule_schema_has_a_branch_for_each_rule_type(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/api/schemas/eligibility-rule")).json()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert len(schema["oneOf"]) == 8
