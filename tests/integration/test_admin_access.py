"""Giving and taking access: people and tokens over the API and in the pages, with what the audit log is told."""

import html
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.database import Pool
from shared.security import Role
from tests.support.access import Door, add_person, door, sign_in
from tests.support.admin import NOBODY, client_of, problem

MARIA = {"name": "maria", "role": "editor", "password": "a long password"}


@pytest.fixture
async def front(pool: Pool, redis_url: str) -> AsyncIterator[Door]:
    async with door(pool, redis_url) as opened:
        yield opened


@pytest.fixture
async def admin(front: Door, pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """A program with an admin's token."""
    async with client_of(pool, front.api, Role.admin) as client:
        yield client


@pytest.fixture
async def browser(front: Door) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of an admin called the-admin."""
    async with front.signed_in(Role.admin) as client:
        yield client


async def told(pool: Pool) -> list[dict[str, Any]]:
    """The audit events that wait to be published, oldest first."""
    rows = await pool.fetch("SELECT topic, message_keys, messages FROM outbox ORDER BY id")
    events = [json.loads(message) for row in rows for message in row["messages"]]
    assert [row["topic"] for row in rows] == ["audit.events"] * len(rows)
    assert [str(key) for row in rows for key in row["message_keys"]] == [event["entity_id"] for event in events]
    return events


def field_errors(answer: httpx.Response, status: int) -> list[str]:
    return [error["field"] for error in problem(answer, status)["errors"]]


async def test_people_are_added_changed_and_listed(front: Door, admin: httpx.AsyncClient) -> None:
    added = await admin.post("/api/admins", json=MARIA)
    assert added.status_code == 201, added.text
    maria = added.json()
    assert maria.pop("password") is None
    assert added.headers["location"] == f"/api/admins/{maria['id']}"
    assert added.headers["etag"] == '"1"'
    assert (maria["name"], maria["role"], maria["created_by"]) == ("maria", "editor", "the-admin")
    url = f"/api/admins/{maria['id']}"
    assert (await admin.get(url)).json() == maria
    async with front.browser() as hers:
        assert (await sign_in(hers, "Maria", MARIA["password"])).status_code == 303
    changed = await admin.patch(url, json={"role": "viewer", "disabled": True}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["role"] == "viewer"
    assert changed.json()["disabled_at"] is not None
    assert (await admin.patch(url, json={"role": "viewer"})).json()["version"] == 2  # It changes nothing.
    back = (await admin.patch(url, json={"disabled": False})).json()
    assert (back["disabled_at"], back["version"]) == (None, 3)
    await admin.post("/api/admins", json=MARIA | {"name": "Anna"})
    listed = (await admin.get("/api/admins")).json()["items"]
    assert [person["name"] for person in listed] == ["Anna", "maria"]
    assert "password_hash" not in listed[0]


async def test_a_password_that_is_not_given_is_made_up_and_told_once(front: Door, admin: httpx.AsyncClient) -> None:
    maria = (await admin.post("/api/admins", json={"name": "maria", "role": "viewer"})).json()
    assert re.fullmatch(r"([a-z2-9]{5}-){4}[a-z2-9]{5}", maria["password"])
    assert "password" not in (await admin.get(f"/api/admins/{maria['id']}")).json()
    async with front.browser() as hers:
        assert (await sign_in(hers, "maria", maria["password"])).status_code == 303


async def test_what_can_t_be_a_user_is_refused_with_its_field(admin: httpx.AsyncClient) -> None:
    await admin.post("/api/admins", json=MARIA)
    taken = await admin.post("/api/admins", json=MARIA | {"name": "MARIA"})
    assert field_errors(taken, 409) == ["name"]
    for fields, wrong in (
        ({"name": ""}, "name"),
        ({"name": "two words"}, "name"),
        ({"name": "<script>"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "ma\0ria"}, "name"),
        ({"role": "owner"}, "role"),
        ({"password": "short"}, "password"),
        ({"password": "a long password of another-one", "name": "another-one"}, "password"),
        ({"is_admin": True}, "is_admin"),
    ):
        answer = await admin.post("/api/admins", json=MARIA | fields)
        assert (fields, field_errors(answer, 422)) == (fields, [wrong])
        assert "short" not in answer.text


async def test_a_change_from_an_older_version_or_of_nobody_is_refused(admin: httpx.AsyncClient) -> None:
    url = f"/api/admins/{(await admin.post('/api/admins', json=MARIA)).json()['id']}"
    await admin.patch(url, json={"role": "viewer"})
    stale = problem(await admin.patch(url, json={"role": "admin", "version": 1}), 409)
    assert stale["type"] == "urn:offers:problem:stale-version"
    assert (await admin.get(url)).json()["role"] == "viewer"
    assert field_errors(await admin.patch(url, json={"password": "x"}), 422) == ["password"]
    problem(await admin.patch(url, json={"role": "admin"}, headers={"If-Match": "x"}), 400)
    problem(await admin.patch(f"/api/admins/{uuid4()}", json={"role": "admin"}), 404)
    problem(await admin.get(f"/api/admins/{uuid4()}"), 404)


@pytest.mark.parametrize("change", [{"role": "editor"}, {"disabled": True}])
async def test_the_last_admin_who_can_sign_in_stays_one(
    pool: Pool, admin: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    first = await add_person(pool, "first", Role.admin)
    second = await add_person(pool, "second", Role.admin)
    await add_person(pool, "third", Role.editor)
    assert (await admin.patch(f"/api/admins/{second}", json=change)).status_code == 200
    last = problem(await admin.patch(f"/api/admins/{first}", json=change), 409)
    assert last["type"] == "urn:offers:problem:last-admin"
    assert await pool.fetchval("SELECT role FROM admin_users WHERE disabled_at IS NULL AND name = 'first'") == "admin"
    assert (await admin.patch(f"/api/admins/{first}", json={"password": "another password"})).status_code == 200


async def test_tokens_are_made_shown_once_listed_and_revoked(front: Door, pool: Pool, admin: httpx.AsyncClient) -> None:
    made = await admin.post("/api/tokens", json={"name": "nightly report", "role": "viewer"})
    assert made.status_code == 201, made.text
    token = made.json()
    secret = token.pop("token")
    assert secret.startswith("ofr_")
    assert secret not in (await admin.get("/api/tokens")).text
    async with front.browser() as program:
        program.headers["Authorization"] = f"Bearer {secret}"
        assert (await program.get("/api/offers")).status_code == 200
        newest, own = (await admin.get("/api/tokens")).json()["items"]
        assert newest["last_used_at"] is not None
        assert newest | {"last_used_at": None} == token
        assert (own["name"], own["created_by"]) == ("the-admin", None)
        revoked = (await admin.delete(f"/api/tokens/{token['id']}")).json()
        assert revoked["revoked_at"] is not None
        assert (await program.get("/api/offers")).status_code == 401
    assert (await admin.delete(f"/api/tokens/{token['id']}")).json() == revoked
    assert [each["id"] for each in (await admin.get("/api/tokens")).json()["items"]] == [own["id"], token["id"]]
    problem(await admin.delete(f"/api/tokens/{NOBODY}"), 404)
    for fields, wrong in (({"name": " "}, "name"), ({"name": "a\nb"}, "name"), ({"role": "owner"}, "role")):
        answer = await admin.post("/api/tokens", json={"name": "a", "role": "viewer"} | fields)
        assert field_errors(answer, 422) == [wrong]


async def test_the_use_of_a_token_is_noted_every_few_minutes_not_every_time(
    front: Door, pool: Pool, admin: httpx.AsyncClient
) -> None:
    await admin.get("/api/offers")
    first = await pool.fetchval("SELECT last_used_at FROM api_tokens")
    await admin.get("/api/offers")
    assert await pool.fetchval("SELECT last_used_at FROM api_tokens") == first
    await pool.execute("UPDATE api_tokens SET last_used_at = now() - interval '6 minutes'")
    await admin.get("/api/offers")
    assert await pool.fetchval("SELECT last_used_at FROM api_tokens") > first


async def test_the_audit_log_is_told_who_changed_whose_access_and_no_secret(
    pool: Pool, admin: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    maria = (await browser.post("/api/admins", json=MARIA)).json()["id"]
    change = {"role": "admin", "password": "another password", "disabled": True}
    await browser.patch(f"/api/admins/{maria}", json=change)
    made = (await admin.post("/api/tokens", json={"name": "report", "role": "viewer"})).json()
    await admin.delete(f"/api/tokens/{made['id']}")
    await admin.delete(f"/api/tokens/{made['id']}")
    by_person = {"user": "the-admin", "role": "admin", "address": "192.0.2.1"}
    by_program = {"token": "the-admin", "role": "admin", "address": "127.0.0.1"}
    events = await told(pool)
    assert [(event["type"], event["entity_type"], event["entity_id"], event["actor"]) for event in events] == [
        ("admin.created", "admin", maria, "the-admin"),
        ("admin.updated", "admin", maria, "the-admin"),
        ("token.created", "token", made["id"], "the-admin"),
        ("token.revoked", "token", made["id"], "the-admin"),
    ]
    assert [event["data"] for event in events] == [
        {"name": "maria", "changes": {"role": {"before": None, "after": "editor"}}, "by": by_person},
        {
            "name": "maria",
            "changes": {
                "role": {"before": "editor", "after": "admin"},
                "disabled": {"before": False, "after": True},
                "password": {"before": "set", "after": "changed"},
            },
            "by": by_person,
        },
        {"name": "report", "changes": {"role": {"before": None, "after": "viewer"}}, "by": by_program},
        {"name": "report", "changes": {"revoked": {"before": False, "after": True}}, "by": by_program},
    ]
    kept = json.dumps(events)
    hashed = await pool.fetchval("SELECT password_hash FROM admin_users WHERE name = 'maria'")
    assert not [secret for secret in (MARIA["password"], "another password", made["token"], hashed) if secret in kept]


async def test_the_page_adds_somebody_and_shows_a_made_up_password_once(
    front: Door, browser: httpx.AsyncClient
) -> None:
    form = await browser.get("/access/people/new")
    assert '<label class="form-label" for="name">' in form.text
    added = await browser.post("/access/people", data={"name": "maria", "role": "viewer", "password": ""})
    assert added.status_code == 201
    (password,) = re.findall(r'id="told-once" value="([^"]+)"', added.text)
    (address,) = re.findall(r'action="(/access/people/[0-9a-f-]+)/role"', added.text)
    assert password not in (await browser.get(address)).text
    people = (await browser.get("/access/people")).text
    assert f'<a href="{address}">maria</a>' in people
    assert ">you</div>" in people
    async with front.browser() as hers:
        assert (await sign_in(hers, "maria", password)).status_code == 303


async def test_the_page_shows_errors_beside_their_fields_and_keeps_what_was_typed(browser: httpx.AsyncClient) -> None:
    script = "<script>alert(1)</script>"
    for typed, field, words in (
        ({"name": script, "role": "editor"}, "name", "1 to 64 letters, digits"),
        ({"name": "the-ADMIN", "role": "editor"}, "name", "Somebody is called the-ADMIN already."),
        ({"name": "maria", "role": "editor", "password": "short"}, "password", "at least 12 characters are needed"),
        ({"name": "maria", "role": ""}, "role", "Choose a role."),
    ):
        answer = await browser.post("/access/people", data=typed)
        assert answer.status_code == 422
        assert words in answer.text
        assert script not in answer.text
        assert f'value="{html.escape(typed["name"])}"' in answer.text
        assert (f'id="{field}-error"' in answer.text) == (field != "role")


async def test_the_page_changes_role_password_and_standing(front: Door, pool: Pool, browser: httpx.AsyncClient) -> None:
    maria = await add_person(pool, "maria", Role.viewer)
    page = f"/access/people/{maria}"

    async def send(what: str, **data: str) -> httpx.Response:
        (version,) = set(re.findall(r'name="version" value="(\d+)"', (await browser.get(page)).text))
        return await browser.post(f"{page}/{what}", data={"version": version} | data)

    assert (await send("role", role="admin")).headers["location"] == page
    assert await pool.fetchval("SELECT role FROM admin_users WHERE name = 'maria'") == "admin"
    made_up = await send("password", password="")
    (password,) = re.findall(r'id="told-once" value="([^"]+)"', made_up.text)
    async with front.browser() as hers:
        assert (await sign_in(hers, "maria", password)).status_code == 303
        assert (await send("standing", disabled="true")).status_code == 303
        assert (await hers.get("/offers")).headers["location"] == "/login?next=/offers"
    assert "disabled</span>" in (await browser.get(page)).text
    assert (await send("standing", disabled="false")).status_code == 303
    assert "at least 12 characters" in (await send("password", password="short")).text
    stale = await browser.post(f"{page}/role", data={"version": "1", "role": "viewer"})
    assert (stale.status_code, "Somebody else has changed this user" in stale.text) == (409, True)
    unknown = await browser.post(f"/access/people/{NOBODY}/role", data={"version": "1", "role": "viewer"})
    assert unknown.status_code == 404


async def test_one_s_own_role_and_standing_are_left_to_another_admin(pool: Pool, browser: httpx.AsyncClient) -> None:
    own = await pool.fetchval("SELECT id FROM admin_users WHERE name = 'the-admin'")
    page = (await browser.get(f"/access/people/{own}")).text
    assert "This is you." in page
    assert "/role" not in page


async def test_the_page_makes_a_token_shows_it_once_and_revokes_it(
    front: Door, pool: Pool, browser: httpx.AsyncClient
) -> None:
    assert "No program has access yet." in (await browser.get("/access/tokens")).text
    wrong = await browser.post("/access/tokens", data={"name": "", "role": "viewer"})
    assert (wrong.status_code, 'id="name-error"' in wrong.text) == (422, True)
    name = "<img src=x onerror=alert(1)>"
    made = await browser.post("/access/tokens", data={"name": name, "role": "viewer"})
    assert made.status_code == 201
    (token,) = re.findall(r'id="told-once" value="([^"]+)"', made.text)
    listed = (await browser.get("/access/tokens")).text
    assert token not in listed
    assert name not in made.text + listed
    assert html.escape(name) in listed
    async with front.browser() as program:
        program.headers["Authorization"] = f"Bearer {token}"
        assert (await program.get("/api/offers")).status_code == 200
        (action,) = re.findall(r'action="(/access/tokens/[0-9a-f-]+/revoke)"', listed)
        assert (await browser.post(action)).headers["location"] == "/access/tokens"
        assert (await program.get("/api/offers")).status_code == 401
    assert "revoked</span>" in (await browser.get("/access/tokens")).text
    assert (await browser.post(f"/access/tokens/{NOBODY}/revoke")).status_code == 404


async def test_offers_changed_in_the_page_are_audited_as_that_person_s(pool: Pool, front: Door) -> None:
    async with front.signed_in(Role.editor, "maria") as maria:
        draft = {"code": "TEN", "title": "Ten", "discount_type": "percentage", "discount_value": "10.00"}
        assert (await maria.post("/api/offers", json=draft)).json()["created_by"] == "maria"
    rows = await pool.fetch("SELECT messages FROM outbox WHERE topic = 'audit.events'")
    (event,) = [json.loads(message) for row in rows for message in row["messages"]]
    assert event["data"]["by"] == {"user": "maria", "role": "editor", "address": "192.0.2.1"}
