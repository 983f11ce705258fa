"""Operators' names over HTTP, and what becomes of them in explanations."""

from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest

from shared.database import Pool
from tests.support.admin import NOBODY, created, editing, problem

MTN, GLO = UUID(int=1), UUID(int=2)


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client."""
    async with editing(pool) as opened:
        yield opened


async def name(client: httpx.AsyncClient, operator_id: UUID, name: str) -> dict[str, str]:
    answer = await client.put(f"/api/operators/{operator_id}", json={"name": name})
    assert answer.status_code == 200, answer.text
    operator: dict[str, str] = answer.json()
    return operator


async def test_operators_are_listed_by_name(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/operators")).json() == {"items": []}
    mtn, glo = await name(client, MTN, "MTN"), await name(client, GLO, " Glo ")
    assert (mtn["id"], mtn["name"], glo["name"]) == (str(MTN), "MTN", "Glo")
    assert (await client.get("/api/operators")).json() == {"items": [glo, mtn]}


async def test_the_same_name_again_changes_nothing_and_another_one_replaces_it(client: httpx.AsyncClient) -> None:
    first = await name(client, MTN, "MTN")
    assert await name(client, MTN, "MTN") == first
    second = await name(client, MTN, "MTN Nigeria")
    assert second["name"] == "MTN Nigeria"
    assert second["updated_at"] > first["updated_at"]
    assert (await client.get("/api/operators")).json() == {"items": [second]}


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "  "}, {"name": "A\0"}, {"name": "A" * 501}, {"name": 7}])
async def test_what_is_no_name_is_refused(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    answer = await client.put(f"/api/operators/{MTN}", json=body)
    assert problem(answer, 422)["errors"][0]["field"] == "name"
    assert (await client.get("/api/operators")).json() == {"items": []}


async def test_an_explanation_uses_the_newest_name(client: httpx.AsyncClient) -> None:
    rule = {
        "rule_key": "two-on-mtn",
        "rule_type": "operator_topup_count",
        "params": {"operator_id": str(MTN), "count": 2, "window_days": 30},
    }
    offer = await created(client, rules=[rule])

    async def missing() -> str:
        found = (await client.get(f"/api/offers/{offer['id']}/eligibility/{NOBODY}")).json()
        text: str = found["rules"][0]["missing"]
        return text

    assert await missing() == f"2 more topups on operator {MTN} within 30 days"
    await name(client, MTN, "MTN")
    assert await missing() == "2 more topups on MTN within 30 days"
    await name(client, MTN, "MTN Nigeria")
    assert await missing() == "2 more topups on MTN Nigeria within 30 days"
