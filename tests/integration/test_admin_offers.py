"""Writing offers over HTTP: what is stored, which versions rise, and who loses a race."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from shared.database import Pool
from tests.support.admin import DRAFT, TWO_TOPUPS, created, editing, problem

PRODUCT = "00000000-0000-0000-0000-0000000000a1"
MAPPING = "00000000-0000-0000-0000-0000000000b1"
USER_1 = "00000000-0000-0000-0000-000000000001"
USER_2 = "00000000-0000-0000-0000-000000000002"


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client."""
    async with editing(pool) as opened:
        yield opened


async def put(client: httpx.AsyncClient, offer: dict[str, Any], **fields: Any) -> httpx.Response:
    return await client.put(f"/api/offers/{offer['id']}", json=offer | fields)


async def test_a_created_offer_is_a_draft_and_reads_back_whole(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/api/offers",
        json={
            "code": "SPRING10",
            "title": "Spring",
            "description": "Ten percent off",
            "discount_type": "percentage",
            "discount_value": "10",
            "per_user_limit": 2,
            "total_usage_limit": 1000,
            "apply_to": "products",
            "allow_all": False,
            "eligibility_logic": "any",
            "starts_at": "2026-03-01T01:00:00+01:00",
            "ends_at": "2026-06-01T00:00:00Z",
            "products": [
                {
                    "operator_product_id": PRODUCT,
                    "supplier_product_mapping_id": MAPPING,
                    "price_override": "7.5",
                    "max_quantity_per_purchase": 3,
                }
            ],
            "allowed_users": [USER_2, USER_1, USER_2],
            "allowed_roles": ["vip"],
            "rules": [
                TWO_TOPUPS,
                {"rule_key": "spent", "rule_type": "min_spent", "params": {"amount": "50", "window_days": 30}},
            ],
        },
    )
    assert response.status_code == 201
    offer = response.json()
    assert response.headers["location"] == f"/api/offers/{offer['id']}"
    assert response.headers["etag"] == '"1"'
    assert offer.pop("created_at") == offer.pop("updated_at")
    offer.pop("rules_version")
    assert offer == {
        "id": offer["id"],
        "code": "SPRING10",
        "title": "Spring",
        "description": "Ten percent off",
        "status": "draft",
        "discount_type": "percentage",
        "discount_value": "10.00",
        "per_user_limit": 2,
        "total_usage_limit": 1000,
        "usage_count": 0,
        "apply_to": "products",
        "allow_all": False,
        "eligibility_logic": "any",
        "starts_at": "2026-03-01T00:00:00Z",
        "ends_at": "2026-06-01T00:00:00Z",
        "version": 1,
        "created_by": "the-editor",
        "products": [
            {
                "operator_product_id": PRODUCT,
                "supplier_product_mapping_id": MAPPING,
                "price_override": "7.50",
                "max_quantity_per_purchase": 3,
            }
        ],
        "allowed_users": [USER_1, USER_2],
        "allowed_roles": ["vip"],
        "rules": [
            TWO_TOPUPS | {"description": "", "enabled": True},
            {
                "rule_key": "spent",
                "rule_type": "min_spent",
                "params": {"amount": "50.00", "window_days": 30},
                "description": "",
                "enabled": True,
            },
        ],
    }
    read = await client.get(f"/api/offers/{offer['id']}")
    assert read.json() == response.json()
    assert read.headers["etag"] == '"1"'


async def test_putting_an_offer_back_as_it_was_raises_its_version_but_not_its_rules_version(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    offer = await created(
        client,
        rules=[TWO_TOPUPS],
        allowed_users=[USER_1],
        allowed_roles=["vip"],
        products=[{"operator_product_id": PRODUCT}, {"supplier_product_mapping_id": MAPPING}],
    )
    products = await pool.fetch("SELECT id FROM offer_products ORDER BY id")
    replaced = (await put(client, offer)).json()
    assert replaced["version"] == 2
    assert replaced["rules_version"] == offer["rules_version"]
    assert replaced["updated_at"] > offer["updated_at"]
    differing = {name for name in offer if offer[name] != replaced[name]}
    assert differing == {"version", "updated_at"}
    assert await pool.fetch("SELECT id FROM offer_products ORDER BY id") == products


@pytest.mark.parametrize(
    ("change", "raises"),
    [
        ({"title": "Summer"}, False),
        ({"discount_value": "11.00"}, False),
        ({"products": [{"operator_product_id": PRODUCT, "price_override": "1.00"}]}, False),
        ({"rules": []}, True),
        ({"rules": [TWO_TOPUPS | {"description": "Two topups"}]}, False),
        ({"rules": [TWO_TOPUPS | {"params": {"count": 3}}]}, True),
        ({"rules": [TWO_TOPUPS, TWO_TOPUPS | {"rule_key": "again"}]}, True),
        ({"eligibility_logic": "any"}, True),
        ({"allow_all": False}, True),
        ({"allowed_users": []}, True),
        ({"allowed_users": [USER_1, USER_2]}, True),
        ({"allowed_roles": ["gold"]}, True),
    ],
)
async def test_only_a_change_of_who_may_use_the_offer_raises_its_rules_version(
    client: httpx.AsyncClient, change: dict[str, Any], raises: bool
) -> None:
    offer = await created(client, rules=[TWO_TOPUPS], allowed_users=[USER_1], allowed_roles=["vip"])
    replaced = (await put(client, offer, **change)).json()
    assert (replaced["rules_version"] > offer["rules_version"]) == raises
    for name, value in change.items():
        if name not in ("rules", "products"):
            assert replaced[name] == value


async def test_what_a_put_leaves_out_takes_its_default(client: httpx.AsyncClient) -> None:
    offer = await created(client, rules=[TWO_TOPUPS], per_user_limit=1, products=[{"operator_product_id": PRODUCT}])
    replaced = (await client.put(f"/api/offers/{offer['id']}", json=DRAFT | {"version": 1})).json()
    assert (replaced["rules"], replaced["products"], replaced["per_user_limit"]) == ([], [], None)


async def test_products_and_rules_become_those_put(client: httpx.AsyncClient) -> None:
    offer = await created(
        client,
        products=[{"operator_product_id": PRODUCT, "price_override": "5.00"}, {"supplier_product_mapping_id": MAPPING}],
        rules=[TWO_TOPUPS, {"rule_key": "new", "rule_type": "new_user", "params": {"account_age_days": 7}}],
    )
    rules = [
        {
            "rule_key": "new",
            "rule_type": "new_user",
            "params": {"account_age_days": 9},
            "description": "nine",
            "enabled": False,
        },
        {
            "rule_key": "active",
            "rule_type": "last_active_within",
            "params": {"window_days": 5},
            "description": "",
            "enabled": True,
        },
    ]
    replaced = await put(
        client, offer, products=[{"operator_product_id": PRODUCT, "max_quantity_per_purchase": 2}], rules=rules
    )
    assert replaced.json()["rules"] == rules
    assert replaced.json()["products"] == [
        {
            "operator_product_id": PRODUCT,
            "supplier_product_mapping_id": None,
            "price_override": None,
            "max_quantity_per_purchase": 2,
        }
    ]


async def test_of_two_puts_at_once_from_one_version_exactly_one_succeeds(client: httpx.AsyncClient, pool: Pool) -> None:
    for number in range(10):
        offer = await created(client, code=f"RACE{number}")
        answers = await asyncio.gather(put(client, offer, title="one"), put(client, offer, title="two"))
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        winner = next(answer.json() for answer in answers if answer.status_code == 200)
        assert (await client.get(f"/api/offers/{offer['id']}")).json() == winner
    assert await pool.fetchval("SELECT count(*) FROM outbox WHERE messages[1] LIKE '%offer.updated%'") == 20


async def test_of_two_creations_with_one_code_exactly_one_succeeds(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/api/offers", json=DRAFT) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_a_stale_version_is_refused_and_changes_nothing(client: httpx.AsyncClient) -> None:
    offer = await created(client)
    current = (await put(client, offer, title="Newer")).json()
    stale = problem(await put(client, offer, title="Older"), 409)
    assert stale["type"] == "urn:offers:problem:stale-version"
    assert stale["detail"] == "the offer has version 2 by now, not 1: read it again"
    assert (await client.get(f"/api/offers/{offer['id']}")).json() == current


async def test_the_version_may_come_as_if_match(client: httpx.AsyncClient) -> None:
    offer = await created(client)
    url = f"/api/offers/{offer['id']}"
    assert (await client.put(url, json=DRAFT, headers={"If-Match": '"1"'})).json()["version"] == 2
    problem(await client.put(url, json=DRAFT, headers={"If-Match": '"1"'}), 409)
    for header in ("*", "1", '"x"', '"0"', '"9999999999"', 'W/"1"'):
        problem(await client.put(url, json=DRAFT, headers={"If-Match": header}), 400)
    problem(await client.put(url, json=DRAFT | {"version": 1}, headers={"If-Match": '"2"'}), 400)
    missing = problem(await client.put(url, json=DRAFT), 422)
    assert missing["errors"] == [{"field": "version", "message": "is needed, here or as the If-Match header"}]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (["publish"], "active"),
        (["publish", "pause"], "paused"),
        (["publish", "pause", "publish"], "active"),
        (["archive"], "archived"),
        (["publish", "archive"], "archived"),
        (["publish", "pause", "archive"], "archived"),
    ],
)
async def test_a_legal_path_of_statuses_raises_the_version_each_step(
    client: httpx.AsyncClient, path: list[str], status: str
) -> None:
    offer = await created(client)
    for action in path:
        answer = await client.post(f"/api/offers/{offer['id']}/{action}")
        assert answer.status_code == 200
    assert answer.json()["status"] == status
    assert answer.json()["version"] == 1 + len(path)
    stopped_keeping_members = path[0] == "publish" and path[-1] == "archive"
    assert answer.json()["rules_version"] == offer["rules_version"] + stopped_keeping_members


@pytest.mark.parametrize(
    "path",
    [
        ["pause"],
        ["publish", "publish"],
        ["publish", "pause", "pause"],
        ["archive", "publish"],
        ["archive", "pause"],
        ["archive", "archive"],
    ],
)
async def test_an_illegal_status_change_is_refused(client: httpx.AsyncClient, path: list[str]) -> None:
    offer = await created(client)
    for action in path[:-1]:
        await client.post(f"/api/offers/{offer['id']}/{action}")
    refused = problem(await client.post(f"/api/offers/{offer['id']}/{path[-1]}"), 409)
    assert refused["type"] == "urn:offers:problem:not-allowed-now"
    assert (await client.get(f"/api/offers/{offer['id']}")).json()["version"] == len(path)


async def test_an_archived_offer_is_changed_no_more(client: httpx.AsyncClient) -> None:
    offer = await created(client)
    archived = (await client.post(f"/api/offers/{offer['id']}/archive")).json()
    problem(await put(client, archived, title="Back"), 409)


async def test_a_status_change_may_state_a_version(client: httpx.AsyncClient) -> None:
    offer = await created(client)
    url = f"/api/offers/{offer['id']}"
    problem(await client.post(f"{url}/publish", json={"version": 2}), 409)
    problem(await client.post(f"{url}/publish", headers={"If-Match": '"2"'}), 409)
    assert (await client.post(f"{url}/publish", json={"version": 1})).status_code == 200
    assert (await client.post(f"{url}/pause", headers={"If-Match": '"2"'})).status_code == 200


async def test_a_limit_below_what_is_used_is_refused(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await created(client, total_usage_limit=10)
    await pool.execute("UPDATE offers SET usage_count = 5 WHERE id = $1", UUID(offer["id"]))
    refused = problem(await put(client, offer, total_usage_limit=4), 409)
    assert refused["type"] == "urn:offers:problem:limit-below-usage"
    assert refused["errors"][0]["field"] == "total_usage_limit"
    assert refused["errors"][0]["message"] == "the offer has been used more often than 4 times already"
    assert (await put(client, offer, total_usage_limit=5)).json()["usage_count"] == 5


async def test_a_per_user_limit_below_what_a_user_has_used_is_refused(client: httpx.AsyncClient, pool: Pool) -> None:
    offer, user = await created(client), uuid4()
    insert = """INSERT INTO offer_redemptions (request_id, offer_id, user_id, price_paid, discount_amount, revoked_at)
                VALUES ($1, $2, $3, 9, 1, $4)"""
    for revoked_at in (None, None, datetime.now(UTC)):
        await pool.execute(insert, uuid4(), UUID(offer["id"]), user, revoked_at)
    refused = problem(await put(client, offer, per_user_limit=1), 409)
    assert refused["errors"] == [
        {"field": "per_user_limit", "message": "one user has used the offer more often than 1 times already"}
    ]
    assert (await put(client, offer, per_user_limit=2)).status_code == 200


async def test_a_code_another_offer_has_is_refused(client: httpx.AsyncClient) -> None:
    await created(client)
    other = await created(client, code="OTHER")
    for answer in (await client.post("/api/offers", json=DRAFT), await put(client, other, code="SPRING10")):
        refused = problem(answer, 409)
        assert refused["type"] == "urn:offers:problem:code-taken"
        assert refused["errors"] == [{"field": "code", "message": "another offer has the code SPRING10"}]


async def test_a_hundred_thousand_allowed_users_fit_in_one_offer(client: httpx.AsyncClient) -> None:
    users = [str(uuid4()) for _ in range(100_000)]
    offer = await created(client, allow_all=False, allowed_users=users)
    assert offer["allowed_users"] == sorted(users)
    kept = sorted(users)[1:]
    replaced = (await put(client, offer, allowed_users=[*kept, USER_1])).json()
    assert replaced["allowed_users"] == sorted([*kept, USER_1])
