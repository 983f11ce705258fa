"""Drafts over HTTP: kept as typed, undone step by step, compared, published all or nothing; and versions."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.database import Pool
from shared.security import Role
from tests.support.admin import TWO_TOPUPS, admin_api, client_of, created, editing, problem


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client."""
    async with editing(pool) as opened:
        yield opened


@pytest.fixture
async def other(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An admin's client, of another process of the service."""
    async with client_of(pool, admin_api(pool), Role.admin) as opened:
        yield opened


async def save(client: httpx.AsyncClient, offer: dict[str, Any], revision: int, **content: Any) -> dict[str, Any]:
    """Save a draft with these fields changed."""
    answer = await client.put(f"/api/offers/{offer['id']}/draft", json={"revision": revision, "content": content})
    assert answer.status_code == 200, answer.text
    draft: dict[str, Any] = answer.json()
    return draft


async def publish(client: httpx.AsyncClient, offer: dict[str, Any], revision: int, **more: Any) -> httpx.Response:
    """Publish a draft of the offer as it is given here."""
    body = {"revision": revision, "version": offer["version"], "confirm_reach": True} | more
    return await client.post(f"/api/offers/{offer['id']}/publish-draft", json=body)


async def test_a_draft_is_kept_as_typed_and_changes_nothing(
    client: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    offer = await created(client)
    url = f"/api/offers/{offer['id']}"
    begun = (await client.get(f"{url}/draft")).json()
    assert (begun["revision"], begun["can_undo"], begun["problems"]) == (0, False, [])
    draft = await save(client, offer, 0, title="Summer", per_user_limit="many")
    assert draft["content"]["per_user_limit"] == "many"
    assert draft["problems"] == [{"field": "per_user_limit", "message": "must be a whole number"}]
    assert (await client.get(f"{url}/draft")).json() == draft
    assert (await client.get(url)).json() == offer
    assert (await other.get(f"{url}/draft")).json()["content"]["title"] == "Spring", "everybody has their own"
    problem(await publish(client, offer, 1), 422)
    assert (await client.delete(f"{url}/draft")).status_code == 204
    assert (await client.get(f"{url}/draft")).json() == begun


async def test_steps_are_undone_and_redone_until_something_else_is_typed(client: httpx.AsyncClient) -> None:
    offer = await created(client)
    url = f"/api/offers/{offer['id']}/draft"
    for revision, title in enumerate(["One", "Two", "Three"]):
        await save(client, offer, revision, title=title)

    async def step(direction: str, revision: int) -> tuple[str, bool, bool]:
        draft = (await client.post(f"{url}/{direction}", json={"revision": revision})).json()
        return draft["content"]["title"], draft["can_undo"], draft["can_redo"]

    assert await step("undo", 3) == ("Two", True, True)
    assert await step("undo", 4) == ("One", True, True)
    assert await step("undo", 5) == ("Spring", False, True)
    assert await step("undo", 6) == ("Spring", False, True)
    assert await step("redo", 6) == ("One", True, True)
    await save(client, offer, 7, title="Other")
    assert await step("redo", 8) == ("Other", True, False)


async def test_a_save_that_knows_an_older_revision_is_refused(client: httpx.AsyncClient) -> None:
    offer = await created(client)
    await save(client, offer, 0, title="One")
    late = await client.put(f"/api/offers/{offer['id']}/draft", json={"revision": 0, "content": {"title": "Late"}})
    assert problem(late, 409)["type"] == "urn:offers:problem:draft-changed"
    assert (await save(client, offer, 1, title="One"))["revision"] == 1, "nothing changed: no step"


async def test_publishing_makes_the_offer_what_the_draft_says_and_forgets_it(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    offer = await created(client)
    rules = [TWO_TOPUPS, TWO_TOPUPS | {"rule_key": "off", "enabled": False}]
    await save(client, offer, 0, title="Summer", rules=rules)
    published = (await publish(client, offer, 1, activate=True)).json()
    assert (published["title"], published["status"], published["version"]) == ("Summer", "active", 3)
    assert [(rule["rule_key"], rule["enabled"]) for rule in published["rules"]] == [
        ("two-topups", True),
        ("off", False),
    ]
    kept = await pool.fetchval("SELECT array_agg(rule_key) FROM offer_eligibility_rules")
    assert kept == ["two-topups"], "a rule that is switched off decides nothing"
    assert (await client.get(f"/api/offers/{offer['id']}/draft")).json()["revision"] == 0
    types = [
        row["type"] for row in await pool.fetch("SELECT v.change AS type FROM offer_versions AS v ORDER BY version")
    ]
    assert types == ["offer.created", "offer.updated", "offer.published"]


async def test_what_cannot_be_published_changes_nothing_at_all(client: httpx.AsyncClient, pool: Pool) -> None:
    await created(client, code="TAKEN")
    offer = await created(client)
    await save(client, offer, 0, title="Summer", code="TAKEN")
    assert problem(await publish(client, offer, 1, activate=True), 409)["type"] == "urn:offers:problem:code-taken"
    await save(client, offer, 1, code="FREE")
    await pool.execute("UPDATE offers SET status = 'active' WHERE id = $1", UUID(offer["id"]))
    refused = await publish(client, offer, 2, activate=True)
    assert problem(refused, 409)["type"] == "urn:offers:problem:not-allowed-now"
    assert (await client.get(f"/api/offers/{offer['id']}")).json()["title"] == "Spring"


async def test_a_change_that_came_between_is_refused_and_can_be_built_upon(
    client: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    offer = await created(client)
    url = f"/api/offers/{offer['id']}"
    await save(client, offer, 0, title="Mine", per_user_limit=2)
    theirs = (await other.put(url, json=offer | {"title": "Theirs", "discount_value": "20.00"})).json()
    assert (await client.get(f"{url}/draft")).json()["stale"]
    for version in (offer["version"], theirs["version"]):
        refused = await publish(client, {"id": offer["id"], "version": version}, 1)
        assert problem(refused, 409)["type"] == "urn:offers:problem:stale-version"
    rebased = (await client.post(f"{url}/rebase-draft", json={"revision": 1})).json()
    assert (rebased["stale"], rebased["conflicts"]) == (False, ["title"])
    published = (await publish(client, theirs, rebased["revision"])).json()
    assert [published[name] for name in ("title", "discount_value", "per_user_limit")] == ["Mine", "20.00", 2]


async def test_reaching_very_many_must_be_confirmed(client: httpx.AsyncClient, pool: Pool) -> None:
    await pool.execute("INSERT INTO users (id, created_at) SELECT gen_random_uuid(), now() FROM generate_series(1, 4)")
    offer = await created(client)
    await save(client, offer, 0, allow_all=False, allowed_roles=["vip"])
    await pool.execute("UPDATE users SET roles = '{vip}' WHERE id IN (SELECT id FROM users ORDER BY id LIMIT 3)")
    refused = problem(await publish(client, offer, 1, confirm_reach=False), 409)
    assert refused["type"] == "urn:offers:problem:reach-not-confirmed"
    assert "3 of 4 users" in refused["detail"]
    await pool.execute("UPDATE users SET roles = '{}' WHERE id IN (SELECT id FROM users ORDER BY id LIMIT 1)")
    assert (await publish(client, offer, 1, confirm_reach=False)).status_code == 200, "half is not more than half"


async def test_what_publishing_would_change_is_told_with_who_enters_and_leaves(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    one, two = UUID(int=1), UUID(int=2)
    await pool.execute(
        "INSERT INTO users (id, created_at, roles) VALUES ($1, now(), '{a}'), ($2, now(), '{b}')", one, two
    )
    offer = await created(client, allow_all=False, allowed_roles=["a"])
    await save(client, offer, 0, allowed_roles=["b"])
    told = (await client.get(f"/api/offers/{offer['id']}/draft/changes")).json()
    assert told == {
        "changes": [{"label": "Roles", "before": "a", "after": "b"}],
        "matching": 1,
        "total_users": 2,
        "comparison": {
            "matching": 1,
            "entering": 1,
            "leaving": 1,
            "entering_sample": [str(two)],
            "leaving_sample": [str(one)],
        },
        "must_confirm": False,
    }


async def test_versions_are_kept_and_returned_to_through_a_draft(client: httpx.AsyncClient) -> None:
    offer = await created(client, rules=[TWO_TOPUPS])
    url = f"/api/offers/{offer['id']}"
    changed = (await client.put(url, json=offer | {"title": "Summer", "rules": []})).json()
    page = (await client.get(f"{url}/versions", params={"limit": 1})).json()
    assert [(item["version"], item["made_by"]) for item in page["items"]] == [(2, "the-editor")]
    older = (await client.get(f"{url}/versions", params={"before": page["next"]})).json()
    assert [item["content"]["title"] for item in older["items"]] == ["Spring"]
    draft = (await client.post(f"{url}/versions/1/revert", json={"revision": 0})).json()
    assert draft["content"]["title"] == "Spring"
    reverted = (await publish(client, changed, draft["revision"])).json()
    assert (reverted["title"], [rule["rule_key"] for rule in reverted["rules"]]) == ("Spring", ["two-topups"])
    problem(await client.post(f"{url}/versions/9/revert", json={"revision": 0}), 404)


async def test_a_copy_has_a_code_of_its_own(client: httpx.AsyncClient) -> None:
    offer = await created(client, rules=[TWO_TOPUPS], per_user_limit=3)
    url = f"/api/offers/{offer['id']}/duplicate"
    copies = [(await client.post(url)).json() for _ in range(2)]
    assert [copy["code"] for copy in copies] == ["SPRING10-COPY", "SPRING10-COPY2"]
    for copy in copies:
        assert (copy["title"], copy["status"], copy["per_user_limit"]) == ("Spring (copy)", "draft", 3)
        assert copy["rules"] == offer["rules"]
