"""Testing a user over HTTP: against one offer, all offers, unsaved rules; now and at other dates."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.admin.judging import _queries
from shared.database import Pool
from tests.support.admin import TWO_TOPUPS, created, editing, problem
from tests.support.campaign import add_offer
from tests.support.plans import fill, plan_of

MTN, GLO = UUID(int=0xA), UUID(int=0xB)
ADA, STRANGER = UUID(int=1), UUID(int=2)
TEN_DAYS_AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(days=10)
"""When Ada topped up last."""
RECENT = {"rule_key": "recent", "rule_type": "last_active_within", "params": {"window_days": 14}}


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client."""
    async with editing(pool) as opened:
        yield opened


@pytest.fixture
async def ada(pool: Pool) -> None:
    """Registered 40 days ago, agent; topups 10 and 20 days ago that count, a failed and a reversed one, a purchase."""
    await pool.execute(
        "INSERT INTO users (id, created_at, roles) VALUES ($1, $2, '{agent}')", ADA, TEN_DAYS_AGO - timedelta(days=30)
    )
    await pool.execute("INSERT INTO operators (id, name) VALUES ($1, 'MTN')", MTN)
    for operator, kind, amount, status, days in (
        (MTN, "topup", "10.00", "succeeded", 0),
        (MTN, "topup", "1250.50", "succeeded", 10),
        (GLO, "topup", "5.00", "failed", 5),
        (MTN, "topup", "7.00", "reversed", 25),
        (GLO, "purchase", "3.00", "succeeded", 20),
    ):
        await pool.execute(
            "INSERT INTO topup_requests (id, user_id, operator_id, kind, amount, status, occurred_at)"
            " VALUES (gen_random_uuid(), $1, $2, $3, $4::text::numeric, $5, $6)",
            *(ADA, operator, kind, amount, status, TEN_DAYS_AGO - timedelta(days=days)),
        )


async def verdicts(client: httpx.AsyncClient, user_id: UUID = ADA, **query: Any) -> list[dict[str, Any]]:
    """One user against the offers."""
    answer = await client.get(f"/api/users/{user_id}/eligibility", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.usefixtures("ada")
async def test_what_is_known_of_a_user_includes_what_does_not_count(client: httpx.AsyncClient) -> None:
    facts = (await client.get(f"/api/users/{ADA}")).json()
    assert (facts["user_id"], facts["roles"]) == (str(ADA), ["agent"])
    assert datetime.fromisoformat(facts["registered_at"]) == TEN_DAYS_AGO - timedelta(days=30)
    shown = [(t["operator"], t["kind"], t["amount"], t["status"]) for t in facts["transactions"]]
    assert shown == [
        ("MTN", "topup", "10.00", "succeeded"),
        (None, "topup", "5.00", "failed"),
        ("MTN", "topup", "1250.50", "succeeded"),
        (None, "purchase", "3.00", "succeeded"),
        ("MTN", "topup", "7.00", "reversed"),
    ]
    assert facts["transactions"][1]["operator_id"] == str(GLO)


async def test_nothing_is_known_of_a_user_no_event_named(client: httpx.AsyncClient) -> None:
    problem(await client.get(f"/api/users/{STRANGER}"), 404)


@pytest.mark.usefixtures("ada")
async def test_each_rule_is_told_in_words_with_what_is_missing(client: httpx.AsyncClient) -> None:
    spent = {
        "rule_key": "spent",
        "rule_type": "operator_spent",
        "params": {"operator_id": str(MTN), "amount": "2000.00", "window_days": 30},
    }
    offer = await created(client, rules=[TWO_TOPUPS, spent], per_user_limit=3)
    (found,) = await verdicts(client)
    assert found.pop("at")
    assert found == {
        "offer_id": offer["id"],
        "user_id": str(ADA),
        "code": "SPRING10",
        "title": "Spring",
        "status": "draft",
        "starts_at": None,
        "ends_at": None,
        "per_user_limit": 3,
        "uses": 0,
        "total_usage_limit": None,
        "usage_count": 0,
        "reason": "offer_inactive",
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
                "sentence": "at least 2 topups",
            },
            {
                "rule_key": "spent",
                "rule_type": "operator_spent",
                "passed": False,
                "required": "2000.00",
                "actual": "1260.50",
                "valid_until": None,
                "missing": "739.50 more spent on MTN within 30 days",
                "sentence": "at least 2,000.00 spent on MTN in the last 30 days",
            },
        ],
    }


@pytest.mark.usefixtures("ada")
async def test_a_date_to_come_shows_what_lapses_and_a_past_one_knows_nothing_of_later(
    client: httpx.AsyncClient,
) -> None:
    await created(client, rules=[RECENT, TWO_TOPUPS])

    async def at(moment: datetime | None) -> tuple[bool, list[Any], list[str | None]]:
        query: dict[str, Any] = {"at": moment.isoformat()} if moment else {}
        (found,) = await verdicts(client, ADA, **query)
        rules = found["rules"]
        return found["eligible"], [rule["actual"] for rule in rules], [rule["missing"] for rule in rules]

    lapse = TEN_DAYS_AGO + timedelta(days=14)
    second = timedelta(seconds=1)
    eligible, (_, topups), missing = await at(None)
    assert (eligible, topups, missing) == (True, 2, [None, None])
    assert await at(lapse - second) == (True, [14.0, 2], [None, None])
    assert await at(lapse) == (False, [14.0, 2], ["a transaction within 14 days", None])
    assert await at(TEN_DAYS_AGO) == (True, [0.0, 2], [None, None])
    assert await at(TEN_DAYS_AGO - second) == (False, [10.0, 1], [None, "1 more topup"])
    assert await at(TEN_DAYS_AGO - timedelta(days=21)) == (
        False,
        [None, 0],
        ["a transaction within 14 days", "2 more topups"],
    )


@pytest.mark.usefixtures("ada")
async def test_an_account_is_not_new_before_it_is_registered(client: httpx.AsyncClient) -> None:
    new = {"rule_key": "new", "rule_type": "new_user", "params": {"account_age_days": 7}}
    await created(client, rules=[new])
    registered = TEN_DAYS_AGO - timedelta(days=30)
    (before,) = await verdicts(client, at=(registered - timedelta(seconds=1)).isoformat())
    assert (before["eligible"], before["rules"][0]["missing"]) == (False, "a known registration date")
    (then,) = await verdicts(client, at=registered.isoformat())
    assert (then["eligible"], then["rules"][0]["actual"]) == (True, 0.0)


@pytest.mark.usefixtures("ada")
async def test_one_offer_at_another_date_is_explained_the_same(client: httpx.AsyncClient) -> None:
    offer = await created(client, rules=[RECENT])
    at = (TEN_DAYS_AGO + timedelta(days=14)).isoformat()
    found = (await client.get(f"/api/offers/{offer['id']}/eligibility/{ADA}", params={"at": at})).json()
    assert (found["eligible"], found["valid_until"]) == (False, None)
    assert found["rules"][0]["missing"] == "a transaction within 14 days"
    now = (await client.get(f"/api/offers/{offer['id']}/eligibility/{ADA}")).json()
    assert datetime.fromisoformat(now["valid_until"]) == TEN_DAYS_AGO + timedelta(days=14)
    problem(await client.get(f"/api/offers/{uuid4()}/eligibility/{ADA}"), 404)


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({}, None),
        ({"status": "paused"}, "offer_inactive"),
        ({"starts_at": TEN_DAYS_AGO + timedelta(days=20)}, "offer_not_started"),
        ({"ends_at": TEN_DAYS_AGO}, "offer_ended"),
        ({"allow_all": False}, "user_not_allowed"),
        ({"per_user_limit": 2}, None),
        ({"per_user_limit": 1}, "per_user_limit_reached"),
        ({"total_usage_limit": 1}, "offer_exhausted"),
    ],
)
async def test_what_else_would_reject_a_purchase_is_named(
    client: httpx.AsyncClient, pool: Pool, columns: dict[str, Any], reason: str | None
) -> None:
    offer_id = await add_offer(pool, **columns, usage_count=1)
    await pool.execute(
        "INSERT INTO offer_redemptions (request_id, offer_id, user_id, price_paid, discount_amount)"
        " VALUES (gen_random_uuid(), $1, $2, 9, 1)",
        *(offer_id, ADA),
    )
    (found,) = await verdicts(client)
    assert (found["reason"], found["uses"]) == (reason, 1)


@pytest.mark.usefixtures("ada")
async def test_a_date_decides_about_an_offer_s_window_too(client: httpx.AsyncClient, pool: Pool) -> None:
    await add_offer(pool, starts_at=TEN_DAYS_AGO, ends_at=TEN_DAYS_AGO + timedelta(days=1))
    reasons = [
        (await verdicts(client, at=(TEN_DAYS_AGO + timedelta(hours=hours)).isoformat()))[0]["reason"]
        for hours in (-1, 0, 23, 24)
    ]
    assert reasons == ["offer_not_started", None, None, "offer_ended"]


async def test_offers_come_active_and_paused_first_a_page_at_a_time(client: httpx.AsyncClient, pool: Pool) -> None:
    old, new = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    for code, status, created_at in (
        ("D-NEW", "draft", new),
        ("A-OLD", "active", old),
        ("X", "archived", new),
        ("P", "paused", new),
        ("A-NEW", "active", new),
        ("D-OLD", "draft", old),
    ):
        await add_offer(pool, code=code, status=status, created_at=created_at)
    pages, after = [], None
    while True:
        query = {"limit": 4} | ({"after": after} if after else {})
        page = (await client.get(f"/api/users/{STRANGER}/eligibility", params=query)).json()
        pages.append([item["code"] for item in page["items"]])
        after = page["next"]
        if after is None:
            break
    assert pages == [["A-NEW", "A-OLD", "P", "D-NEW"], ["D-OLD", "X"]]
    assert [item["code"] for item in await verdicts(client, STRANGER, status="draft")] == ["D-NEW", "D-OLD"]
    assert [item["code"] for item in await verdicts(client, STRANGER, q="-new")] == ["A-NEW", "D-NEW"]


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("audience", "allowed", "eligible"),
    [
        ({}, True, True),
        ({"rules": [TWO_TOPUPS]}, True, True),
        ({"rules": [TWO_TOPUPS], "allow_all": False}, False, False),
        ({"rules": [TWO_TOPUPS], "allow_all": False, "allowed_roles": ["agent"]}, True, True),
        ({"allow_all": False, "allowed_users": [str(ADA)]}, True, True),
        ({"rules": [TWO_TOPUPS, RECENT | {"params": {"window_days": 1}}]}, True, False),
        ({"rules": [TWO_TOPUPS, RECENT | {"params": {"window_days": 1}}], "eligibility_logic": "any"}, True, True),
    ],
)
async def test_unsaved_rules_are_tried_on_a_user(
    client: httpx.AsyncClient, pool: Pool, audience: dict[str, Any], allowed: bool, eligible: bool
) -> None:
    answer = await client.post("/api/offers/test", json={"user_id": str(ADA), **audience})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["allowed"], found["eligible"]) == (allowed, eligible)
    assert [rule["rule_key"] for rule in found["rules"]] == [rule["rule_key"] for rule in audience.get("rules", [])]
    assert await pool.fetchval("SELECT count(*) FROM offers") == 0


@pytest.mark.usefixtures("ada")
async def test_unsaved_rules_are_tried_at_another_date(client: httpx.AsyncClient) -> None:
    body = {"user_id": str(ADA), "at": (TEN_DAYS_AGO + timedelta(days=15)).isoformat(), "rules": [RECENT]}
    found = (await client.post("/api/offers/test", json=body)).json()
    assert (found["eligible"], found["rules"][0]["actual"]) == (False, 15.0)
    assert found["rules"][0]["sentence"] == "a transaction in the last 14 days"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_id"),
        ({"user_id": "ada"}, "user_id"),
        ({"user_id": str(ADA), "at": "yesterday"}, "at"),
        ({"user_id": str(ADA), "at": "2026-01-01T00:00:00"}, "at"),
        ({"user_id": str(ADA), "rules": [TWO_TOPUPS | {"params": {"count": 0}}]}, "rules.0.params.count"),
        ({"user_id": str(ADA), "sample_size": 2}, "sample_size"),
    ],
)
async def test_a_trial_with_wrong_fields_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    found = problem(await client.post("/api/offers/test", json=body), 422)
    assert found["errors"][0]["field"] == field


async def test_a_page_of_tests_touches_a_user_s_history_and_nobody_else_s(pool: Pool) -> None:
    operator = uuid4()
    await fill(pool, 3_000, operator)
    await pool.execute(
        "UPDATE topup_requests SET status = 'failed' WHERE id IN (SELECT id FROM topup_requests LIMIT 99)"
    )
    await pool.execute("VACUUM ANALYZE topup_requests")
    offers = [await add_offer(pool, [{"rule_type": "min_topups", "params": {"count": 2}}]) for _ in range(3)]
    async with pool.acquire() as connection:
        user = await connection.fetchval("SELECT id FROM users LIMIT 1")
        recent = await plan_of(connection, _queries.recent_transactions, user, 20)
        await plan_of(connection, _queries.judge_offers, offers, user, None)  # Its functions are planned once.
        judged = await plan_of(connection, _queries.judge_offers, offers, user, None)
    assert {"topup_requests_history", "topup_requests_not_counted"} <= recent.indexes
    assert recent.scanned <= {"operators"}
    assert judged.pages < 200
