"""Every refusal of the admin API is problem details: wrong input, wrong caller, wrong time, broken server."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from shared.database import Pool
from shared.security import Role
from tests.support.admin import (
    DRAFT,
    NOBODY,
    TWO_TOPUPS,
    admin_api,
    client_of,
    created,
    editing,
    problem,
)


@pytest.fixture
async def client(unchanged: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client; the tests' offers share a database and differ by their codes."""
    async with editing(unchanged) as opened:
        yield opened


@pytest.mark.parametrize("header", ["Bearer", "Bearer unknown", "Basic YTpi", "unknown", "Bearer \u00ff"])
async def test_what_is_no_token_is_refused(pool: Pool, header: str) -> None:
    async with client_of(pool, admin_api(pool), None) as anonymous:
        answer = await anonymous.get("/api/offers", headers={b"Authorization": header.encode("latin-1")})
        problem(answer, 401)


async def test_a_revoked_token_is_refused(pool: Pool) -> None:
    async with client_of(pool, admin_api(pool), Role.viewer) as viewer:
        assert (await viewer.get("/api/offers")).status_code == 200
        await pool.execute("UPDATE api_tokens SET revoked_at = now()")
        problem(await viewer.get("/api/offers"), 401)


def rule(**changes: Any) -> dict[str, Any]:
    return {"rules": [TWO_TOPUPS | changes]}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"code": None}, "code"),
        ({"code": ""}, "code"),
        ({"code": " X"}, "code"),
        ({"code": "A\0B"}, "code"),
        ({"code": "X" * 65}, "code"),
        ({"title": ""}, "title"),
        ({"title": "A\0B"}, "title"),
        ({"title": "X" * 501}, "title"),
        ({"title": 7}, "title"),
        ({"description": "\0"}, "description"),
        ({"discount_type": "free"}, "discount_type"),
        ({"discount_value": "100.01"}, "discount_value"),
        ({"discount_value": "-1"}, "discount_value"),
        ({"discount_value": "1.001"}, "discount_value"),
        ({"discount_value": "NaN"}, "discount_value"),
        ({"discount_value": 10**30, "discount_type": "fixed_amount"}, "discount_value"),
        ({"per_user_limit": 0}, "per_user_limit"),
        ({"per_user_limit": 2**31}, "per_user_limit"),
        ({"total_usage_limit": 10**400}, "total_usage_limit"),
        ({"total_usage_limit": 1.5}, "total_usage_limit"),
        ({"apply_to": "some"}, "apply_to"),
        ({"apply_to": "products"}, "products"),
        ({"products": [{}]}, "products.0"),
        ({"products": [{"operator_product_id": str(NOBODY)}] * 2}, "products"),
        ({"products": [{"operator_product_id": "7"}]}, "products.0.operator_product_id"),
        (
            {"products": [{"operator_product_id": str(NOBODY), "price_override": "-1"}]},
            "products.0.price_override",
        ),
        (
            {"products": [{"operator_product_id": str(NOBODY), "max_quantity_per_purchase": 0}]},
            "products.0.max_quantity_per_purchase",
        ),
        ({"allow_all": "perhaps"}, "allow_all"),
        ({"allowed_users": ["x"]}, "allowed_users.0"),
        ({"allowed_roles": ["a", "b\0"]}, "allowed_roles.1"),
        ({"eligibility_logic": "none"}, "eligibility_logic"),
        ({"starts_at": "2026-01-01T00:00:00"}, "starts_at"),
        ({"starts_at": "0001-01-01T00:00:00+23:00"}, "starts_at"),
        ({"starts_at": "0001-01-01T00:00:00Z"}, "starts_at"),
        ({"ends_at": "9999-12-31T23:59:59.999999Z"}, "ends_at"),
        ({"starts_at": "2026-01-02T00:00:00Z", "ends_at": "2026-01-02T00:00:00Z"}, "ends_at"),
        ({"rules": [TWO_TOPUPS, TWO_TOPUPS]}, "rules"),
        (rule(rule_key="No Spaces"), "rules.0.rule_key"),
        (rule(rule_type="richest"), "rules.0"),
        (rule(params={}), "rules.0.params.count"),
        (rule(params={"count": 2**40}), "rules.0.params.count"),
        (rule(params={"count": 1, "windw_days": 3}), "rules.0.params.windw_days"),
        (rule(description="\0"), "rules.0.description"),
        ({"per_user_limt": 1}, "per_user_limt"),
        ({"\ud800": 1}, ""),
    ],
)
async def test_a_wrong_field_is_named_on_creation_and_on_replacement(
    client: httpx.AsyncClient, fields: dict[str, Any], field: str
) -> None:
    offer = await created(client, code=uuid4().hex)
    for answer in (
        await client.post("/api/offers", content=_json(DRAFT | fields), headers={"Content-Type": "application/json"}),
        await client.put(
            f"/api/offers/{offer['id']}",
            content=_json(offer | fields),
            headers={"Content-Type": "application/json"},
        ),
    ):
        wrong = problem(answer, 422)
        assert [error["field"] for error in wrong["errors"]] == [field]
        assert all(error["message"] for error in wrong["errors"])
    assert (await client.get(f"/api/offers/{offer['id']}")).json() == offer


def _json(value: Any) -> bytes:
    # httpx's own writing has no way to spell half a surrogate pair.
    return json.dumps(value).encode()


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000, b'{"a": tru}'])
async def test_what_is_not_json_is_a_bad_request(client: httpx.AsyncClient, body: bytes) -> None:
    offer = await created(client, code=uuid4().hex)
    for method, path in (
        ("POST", "/api/offers"),
        ("PUT", f"/api/offers/{offer['id']}"),
        ("POST", f"/api/offers/{offer['id']}/publish"),
        ("POST", "/api/offers/preview"),
    ):
        answer = await client.request(method, path, content=body, headers={"Content-Type": "application/json"})
        problem(answer, 400)


@pytest.mark.parametrize("body", [b"[]", b"7", b"null", b'"x"', b"{}"])
async def test_json_that_is_no_offer_is_invalid(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post("/api/offers", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer, 422)["errors"]


async def test_a_body_larger_than_any_offer_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    problem(await client.post("/api/offers", content=b" " * (17 * 1024 * 1024), headers=headers), 413)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/offers/nothing", "offer_id"),
        (f"/api/offers/{NOBODY}/eligibility/x", "user_id"),
        (f"/api/offers/{NOBODY}/members?after=x", "after"),
        (f"/api/offers/{NOBODY}/members?limit=0", "limit"),
        ("/api/offers?limit=99999999999999999999", "limit"),
        ("/api/offers?status=lost", "status"),
        ("/api/offers?q=%00", "q"),
        ("/api/offers?after=x", "after"),
    ],
)
async def test_a_wrong_parameter_is_named(client: httpx.AsyncClient, path: str, field: str) -> None:
    assert [error["field"] for error in problem(await client.get(path), 422)["errors"]] == [field]


async def test_an_unknown_offer_is_not_found(client: httpx.AsyncClient) -> None:
    url = f"/api/offers/{uuid4()}"
    for answer in (
        await client.get(url),
        await client.put(url, json=DRAFT | {"version": 1}),
        await client.post(f"{url}/publish"),
        await client.get(f"{url}/eligibility/{NOBODY}"),
        await client.get(f"{url}/members"),
    ):
        assert problem(answer, 404)["detail"] == "there is no such offer"


async def test_unknown_paths_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    problem(await client.get("/api/nothing"), 404)
    problem(await client.delete("/api/offers"), 405)


async def test_a_broken_database_is_a_server_error_that_tells_no_secrets(pool: Pool) -> None:
    await pool.execute("ALTER TABLE offer_products RENAME TO secret_products")
    async with editing(pool) as client:
        broken = problem(await client.get(f"/api/offers/{NOBODY}"), 500)
    assert "offer_products" not in broken["detail"]


async def test_readiness_fails_without_the_database(pool: Pool, database_url: str) -> None:
    gone = asyncpg.create_pool(database_url, min_size=0)
    async with gone, client_of(pool, admin_api(gone), None) as anonymous:
        assert (await anonymous.get("/readyz")).status_code == 200
        await gone.close()
        assert problem(await anonymous.get("/readyz"), 503)["detail"].startswith("the database doesn't answer")
        assert (await anonymous.get("/healthz")).status_code == 200
        metrics = await anonymous.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert "\nprocess_resident_memory_bytes " in metrics.text
