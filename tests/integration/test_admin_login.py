"""Signing in to the admin page and out of it: what is let in, for how long, and what is refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from redis.asyncio import Redis

from deploy.embedded.redis import RedisServer
from shared.database import Pool
from shared.security import Role
from tests.support.access import ORIGIN, PASSWORD, Door, add_person, csrf_token, door, sign_in
from tests.support.admin import client_of, problem

WRONG = "The name or the password is wrong."


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """Redis, empty."""
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def front(pool: Pool, redis: Redis, redis_url: str) -> AsyncIterator[Door]:
    """The application with Maria, an editor."""
    await add_person(pool, "Maria", Role.editor)
    async with door(pool, redis_url) as opened:
        yield opened


def session_of(client: httpx.AsyncClient) -> str:
    """What the browser's session cookie holds."""
    held = client.cookies["offers_session"]
    assert held is not None
    return str(held)


async def holds(client: httpx.AsyncClient) -> bool:
    """Whether the browser's login still lets it in."""
    answer = await client.get("/api/session")
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


async def test_the_right_name_and_password_open_the_page_that_was_asked_for(front: Door) -> None:
    async with front.browser() as browser:
        asked = await browser.get("/offers?q=a%20b")
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/offers%3Fq%3Da%2520b")
        assert 'name="next" value="/offers?q=a%20b"' in (await browser.get(asked.headers["location"])).text
        entered = await sign_in(browser, "maria", next="/offers?q=a%20b")
        assert (entered.status_code, entered.headers["location"]) == (303, "/offers?q=a%20b")
        assert (await browser.get("/offers")).status_code == 200
        again = await browser.get("/login?next=/account")
        assert (again.status_code, again.headers["location"]) == (303, "/account")


async def test_a_wrong_password_an_unknown_name_and_a_disabled_user_are_told_the_same(front: Door, pool: Pool) -> None:
    gone = await add_person(pool, "gone", Role.admin)
    await pool.execute("UPDATE admin_users SET disabled_at = now() WHERE id = $1", gone)
    async with front.browser() as browser:
        answers = [
            await sign_in(browser, "Maria", "another horse battery"),
            await sign_in(browser, "nobody"),
            await sign_in(browser, "gone"),
            await sign_in(browser, "Maria", ""),
            await sign_in(browser, "Maria\0"),
            await sign_in(browser, "MAR\u0130A"),  # PostgreSQL may take the dotted I for an i.
        ]
        assert [answer.status_code for answer in answers] == [401] * 6
        assert all(WRONG in answer.text for answer in answers)
        assert not browser.cookies
        first, unknown = (answer.text for answer in answers[:2])
        assert first.replace("Maria", "nobody") == unknown


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(front: Door) -> None:
    async with front.browser() as browser:
        cookie = (await sign_in(browser, "Maria")).headers["set-cookie"]
        name, _, attributes = cookie.partition("=")
        assert name == "offers_session"
        assert attributes.split("; ")[1:] == ["HttpOnly", "Path=/", "SameSite=lax"]


async def test_over_https_the_cookie_and_the_name_that_guards_it_are_for_https_alone(front: Door) -> None:
    async with front.browser(origin="https://admin.test") as browser:
        entered = await sign_in(browser, "Maria")
        name, _, attributes = entered.headers["set-cookie"].partition("=")
        assert name == "__Host-offers_session"
        assert set(attributes.split("; ")[1:]) == {"HttpOnly", "Path=/", "SameSite=lax", "Secure"}
        assert entered.headers["strict-transport-security"] == "max-age=31536000"
        assert await holds(browser)
        held = browser.cookies[name]
    async with front.browser(origin="https://admin.test") as other:
        # A plain name could have been planted by whoever answers for http://admin.test.
        assert (await other.get("/api/session", headers={"Cookie": f"offers_session={held}"})).status_code == 401


async def test_behind_a_proxy_the_public_address_says_what_is_https_and_which_origin_is_ours(
    pool: Pool, redis: Redis, redis_url: str
) -> None:
    await add_person(pool, "Maria", Role.editor)
    async with (
        door(pool, redis_url, admin_public_url="https://offers.example/") as front,
        front.browser() as browser,
    ):
        browser.headers["Origin"] = "https://offers.example"
        entered = await sign_in(browser, "Maria")
        assert entered.headers["set-cookie"].startswith("__Host-offers_session=")
        browser.headers["Origin"] = ORIGIN
        assert (await sign_in(browser, "Maria")).status_code == 403


async def test_a_login_gives_a_new_session_and_ends_the_one_before(front: Door, pool: Pool) -> None:
    await add_person(pool, "mallory", Role.viewer)
    async with front.browser() as browser, front.browser() as attacker:
        await sign_in(attacker, "mallory")
        planted = session_of(attacker)
        browser.cookies.set("offers_session", planted, domain="admin.test", path="/")
        await sign_in(browser, "Maria")
        assert session_of(browser) != planted
        assert (await browser.get("/api/session")).json()["name"] == "Maria"
        assert not await holds(attacker)
    async with front.browser() as browser:
        made_up = "A" * 43
        browser.cookies.set("offers_session", made_up, domain="admin.test", path="/")
        await sign_in(browser, "Maria")
        assert session_of(browser) != made_up


async def test_what_stands_in_redis_lets_nobody_in(front: Door, redis: Redis) -> None:
    async with front.browser() as browser:
        await sign_in(browser, "Maria")
        token = await csrf_token(browser)
        (key,) = map(str, await redis.keys("offers:session:*"))
        kept = f"{key} {await redis.get(key)!s}"
        assert session_of(browser) not in kept
        assert token not in kept
        browser.cookies.set("offers_session", key.rpartition(":")[2], domain="admin.test", path="/")
        assert not await holds(browser)


async def test_a_cookie_that_is_no_session_lets_nobody_in(front: Door) -> None:
    async with front.browser() as browser:
        for cookie in ("", "x", "A" * 43, "A" * 10_000, "é" * 43, '"' + "A" * 43 + '"'):
            answer = await browser.get("/api/session", headers={b"Cookie": f"offers_session={cookie}".encode()})
            assert answer.status_code == 401


async def test_what_another_release_left_in_redis_is_no_session(front: Door, redis: Redis) -> None:
    async with front.browser() as browser:
        await sign_in(browser, "Maria")
        (key,) = await redis.keys("offers:session:*")
        for kept in (b"", b"{}", b"[]", b"\xff", b'{"user_id": "x", "user_version": 1, "started_at_us": 1}'):
            await redis.set(key, kept)
            assert not await holds(browser)


async def test_a_session_ends_when_idle_and_every_request_puts_that_off(front: Door, redis: Redis) -> None:
    async with front.browser() as browser:
        await sign_in(browser, "Maria")
        (key,) = await redis.keys("offers:session:*")
        assert 3_590 < await redis.ttl(key) <= 3_600
        await redis.expire(key, 60)
        assert await holds(browser)
        assert 3_590 < await redis.ttl(key) <= 3_600
        await redis.expire(key, 60)
        assert await front.access.logins.sessions.find(session_of(browser), in_use=False)
        assert await redis.ttl(key) <= 60  # A stream that stays open is no use.
        await redis.pexpire(key, 1)
        await asyncio.sleep(0.05)
        asked = await browser.get("/offers")
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/offers")


async def test_a_session_ends_after_its_whole_time_however_busy(pool: Pool, redis: Redis, redis_url: str) -> None:
    await add_person(pool, "Maria", Role.editor)
    async with (
        door(pool, redis_url, session_s_max=7_200) as front,
        door(pool, redis_url, session_s_max=1_800) as later,
        front.browser() as browser,
    ):
        await sign_in(browser, "Maria")
        (key,) = await redis.keys("offers:session:*")
        started = str(await redis.get(key))
        us = int(started.rpartition(":")[2].rstrip("}"))
        await redis.set(key, started.replace(str(us), str(us - 5_400 * 1_000_000)))
        assert await holds(browser)
        assert 1_790 < await redis.ttl(key) <= 1_800  # What is left of two hours, not the idle hour.
        async with later.browser() as other:
            other.cookies = browser.cookies
            assert not await holds(other)
        assert not await redis.exists(key)


async def test_signing_out_ends_the_session_for_whoever_kept_its_cookie(front: Door) -> None:
    async with front.browser() as browser, front.browser() as elsewhere:
        await sign_in(browser, "Maria")
        await sign_in(elsewhere, "Maria")
        kept = session_of(browser)
        left = await browser.post("/logout", data={"csrf_token": await csrf_token(browser)})
        assert (left.status_code, left.headers["location"]) == (303, "/login?signed-out=1")
        assert left.headers["set-cookie"].startswith('offers_session=""; expires=')
        assert not browser.cookies
        assert "data-signed-out" in (await browser.get(left.headers["location"])).text
        browser.cookies.set("offers_session", kept, domain="admin.test", path="/")
        assert not await holds(browser)
        assert await holds(elsewhere)


async def test_signing_out_everywhere_ends_every_session_of_the_user_alone(front: Door, pool: Pool) -> None:
    await add_person(pool, "other", Role.viewer)
    async with front.browser() as browser, front.browser() as elsewhere, front.browser() as other:
        await sign_in(browser, "Maria")
        await sign_in(elsewhere, "Maria")
        await sign_in(other, "other")
        await browser.post("/logout", data={"csrf_token": await csrf_token(browser), "everywhere": "true"})
        assert not await holds(browser)
        assert not await holds(elsewhere)
        assert await holds(other)


@pytest.mark.parametrize(
    "change",
    [{"role": "viewer"}, {"role": "admin"}, {"disabled": True}, {"password": "quite another password"}],
)
async def test_another_role_another_password_or_being_disabled_signs_a_user_out_everywhere(
    front: Door, pool: Pool, change: dict[str, object]
) -> None:
    maria = await pool.fetchval("SELECT id FROM admin_users WHERE name = 'Maria'")
    async with front.browser() as browser, client_of(pool, front.api, Role.admin) as admin:
        await sign_in(browser, "Maria")
        assert await holds(browser)
        assert (await admin.patch(f"/api/admins/{maria}", json=change)).status_code == 200
        assert not await holds(browser)
        still_good = "password" not in change and "disabled" not in change
        assert ((await sign_in(browser, "Maria")).status_code == 303) == still_good


async def test_the_role_is_looked_up_with_each_request(front: Door, pool: Pool) -> None:
    async with front.browser() as browser:
        await sign_in(browser, "Maria")
        await pool.execute("UPDATE admin_users SET role = 'viewer'")
        assert (await browser.get("/api/session")).json()["role"] == "viewer"


async def test_after_too_many_wrong_passwords_for_a_name_not_even_the_right_one_is_checked(
    front: Door, redis: Redis
) -> None:
    async with front.browser("192.0.2.1") as browser, front.browser("192.0.2.2") as elsewhere:
        for _ in range(10):
            assert (await sign_in(browser, "Maria", "wrong")).status_code == 401
        for client, name in ((browser, "Maria"), (elsewhere, " mARIA ")):
            refused = await sign_in(client, name)
            assert refused.status_code == 429
            assert "Too many attempts. Try again in 5 minutes." in refused.text
            assert 240 < int(refused.headers["retry-after"]) <= 300
        assert (await sign_in(browser, "somebody-else", "wrong")).status_code == 401
        (key,) = [key for key in await redis.keys("offers:login:name:*") if int(await redis.get(key) or 0) > 10]
        await redis.delete(key)  # Its time is over.
        assert (await sign_in(browser, "Maria")).status_code == 303


async def test_many_passwords_tried_at_once_are_counted_one_by_one(front: Door) -> None:
    async with front.browser() as browser:
        answers = await asyncio.gather(*(sign_in(browser, "Maria", "wrong") for _ in range(15)))
        assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 5


async def test_the_right_password_begins_the_count_of_its_name_anew(front: Door) -> None:
    async with front.browser() as browser:
        for _ in range(2):
            for _ in range(9):
                assert (await sign_in(browser, "Maria", "wrong")).status_code == 401
            assert (await sign_in(browser, "Maria")).status_code == 303


async def test_an_address_may_be_wrong_only_so_often_whatever_the_names(
    pool: Pool, redis: Redis, redis_url: str
) -> None:
    await add_person(pool, "Maria", Role.editor)
    async with (
        door(pool, redis_url, login_attempts_per_address_max=3) as front,
        front.browser("2001:db8::1") as browser,
        front.browser("2001:db8::ffff:2") as same_network,
        front.browser("2001:db8:0:1::1") as elsewhere,
    ):
        for number in range(2):
            assert (await sign_in(browser, f"name-{number}")).status_code == 401
        assert (await sign_in(browser, "Maria")).status_code == 303  # Right ones don't count.
        assert (await sign_in(same_network, "name-2")).status_code == 401
        assert (await sign_in(browser, "Maria")).status_code == 429
        assert (await sign_in(elsewhere, "Maria")).status_code == 303


async def test_another_site_can_neither_sign_a_browser_in_nor_write_with_its_session(front: Door) -> None:
    foreign = [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://admin.test.evil.example"},
        {"Origin": "http://admin.test:81"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ]
    async with front.browser() as browser:
        data = {"name": "Maria", "password": PASSWORD}
        for headers in foreign:
            assert (await browser.post("/login", data=data, headers=headers)).status_code == 403
        assert not browser.cookies
        await sign_in(browser, "Maria")
        token = {"csrf_token": await csrf_token(browser)}
        for headers in foreign:
            assert (await browser.post("/logout", data=token, headers=headers)).status_code == 403
        assert await holds(browser)


async def test_a_write_needs_the_token_of_its_own_session(front: Door) -> None:
    async with front.browser() as browser, front.browser() as elsewhere:
        await sign_in(browser, "Maria")
        await sign_in(elsewhere, "Maria")
        own, others = await csrf_token(browser), await csrf_token(elsewhere)
        assert own != others
        forged = problem(await browser.post("/api/offers", json={}), 403)
        assert forged["type"] == "urn:offers:problem:csrf"
        for token in ("", others, own.upper(), own + "0", "é"):
            answer = await browser.post("/api/offers", json={}, headers={b"X-CSRF-Token": token.encode()})
            assert problem(answer, 403)["type"] == "urn:offers:problem:csrf"
        assert (await browser.post(f"/api/offers?csrf_token={own}", json={"csrf_token": own})).status_code == 403
        problem(await browser.post("/api/offers", json={}, headers={"X-CSRF-Token": own}), 422)
        del browser.headers["Origin"]  # Not every browser sends it.
        problem(await browser.post("/api/offers", json={}, headers={"X-CSRF-Token": own}), 422)


async def test_only_a_page_of_ours_is_opened_after_signing_in(front: Door) -> None:
    async with front.browser() as browser:
        shown = await browser.get("/login", params={"next": "//evil.example"})
        assert 'name="next" value="/"' in shown.text
        for wanted in ("//evil.example", "https://evil.example", "/\t/evil.example"):
            entered = await sign_in(browser, "Maria", next=wanted)
            assert (entered.status_code, entered.headers["location"]) == (303, "/")


async def test_who_has_not_signed_in_is_sent_to_the_login_as_their_program_understands_it(front: Door) -> None:
    async with front.browser() as browser:
        part = await browser.get("/offers", headers={"HX-Request": "true", "HX-Current-URL": f"{ORIGIN}/offers?q=1"})
        assert (part.status_code, part.headers["hx-redirect"]) == (401, "/login?next=/offers%3Fq%3D1")
        form = await browser.post("/account/password", headers={"Referer": f"{ORIGIN}/account"})
        assert (form.status_code, form.headers["location"]) == (303, "/login?next=/account")
        elsewhere = await browser.post("/account/password", headers={"Referer": "https://evil.example//evil.example"})
        assert (elsewhere.status_code, elsewhere.headers["location"]) == (303, "/login")
        for path, accept in (("/api/offers", "text/html"), ("/offers", "application/json")):
            answer = await browser.get(path, headers={"Accept": accept})
            assert problem(answer, 401)["detail"] == "a bearer token is needed"
        assert (await browser.get("/offers", headers={"Accept": "text/event-stream"})).status_code == 401
        unknown = await browser.get("/offers", headers={"Authorization": "Bearer unknown"})
        assert unknown.status_code == 401


async def test_without_redis_nobody_signs_in_and_tokens_go_on_working(pool: Pool, tmp_path: Path) -> None:
    await add_person(pool, "Maria", Role.editor)
    server = RedisServer()
    await server.start(tmp_path)
    async with (
        door(pool, server.url) as front,
        front.browser() as browser,
        client_of(pool, front.api, Role.viewer) as program,
    ):
        await sign_in(browser, "Maria")
        await server.stop()
        away = "Signing in is not possible now: Redis doesn&#39;t answer"
        assert away in (await browser.get("/login")).text
        refused = await sign_in(browser, "Maria")
        assert (refused.status_code, away in refused.text) == (503, True)
        shown = await browser.get("/offers")
        assert (shown.status_code, shown.headers["retry-after"]) == (503, "5")
        problem(await browser.get("/api/offers"), 503)
        assert (await program.get("/api/offers")).status_code == 200
        await server.start(tmp_path)
        try:
            assert await holds(browser)  # The snapshot of its orderly stop has the session.
            assert (await sign_in(browser, "Maria")).status_code == 303
        finally:
            await server.stop()


async def test_a_hash_made_in_an_older_way_is_made_anew_at_the_next_login(front: Door, pool: Pool) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await pool.execute("UPDATE admin_users SET password_hash = $1", weak)
    async with front.browser() as browser:
        await sign_in(browser, "Maria")
        kept = await pool.fetchval("SELECT password_hash FROM admin_users")
        assert kept.startswith("$argon2id$v=19$m=1024,t=1,p=1$")
        assert await holds(browser)
        assert (await sign_in(browser, "Maria")).status_code == 303


async def test_one_s_own_password_takes_the_current_one_and_ends_other_sessions(front: Door) -> None:
    async with front.browser() as browser, front.browser() as elsewhere:
        await sign_in(browser, "Maria")
        await sign_in(elsewhere, "Maria")
        token = await csrf_token(browser)

        async def change(current: str, new: str, repeated: str | None = None) -> httpx.Response:
            data = {"current": current, "new": new, "repeated": repeated or new, "csrf_token": token}
            return await browser.post("/account/password", data=data)

        for answer, words in (
            (await change("wrong", "a new long password"), "This is not your current password."),
            (await change(PASSWORD, "short"), "The password won&#39;t do: at least 12 characters are needed."),
            (await change(PASSWORD, "maria likes horses"), "the name must not be part of it."),
            (await change(PASSWORD, "a new long password", "another one"), "The two are not the same."),
        ):
            assert (answer.status_code, words in answer.text) == (422, True)
        before = session_of(browser)
        assert (await change(PASSWORD, "a new long password")).status_code == 303
        assert session_of(browser) != before
        assert await holds(browser)
        assert not await holds(elsewhere)
        assert (await sign_in(elsewhere, "Maria")).status_code == 401
        assert (await sign_in(elsewhere, "Maria", "a new long password")).status_code == 303


async def test_the_current_password_can_t_be_guessed_from_a_session_either(front: Door) -> None:
    async with front.browser() as browser:
        await sign_in(browser, "Maria")
        browser.headers["X-CSRF-Token"] = await csrf_token(browser)
        wanted = {"current": "wrong", "new": "a new long password"}
        for _ in range(10):
            problem(await browser.put("/api/session/password", json=wanted), 422)
        limited = await browser.put("/api/session/password", json=wanted | {"current": PASSWORD})
        problem(limited, 429)
        assert int(limited.headers["retry-after"]) > 0


async def test_the_session_api_tells_who_calls_changes_the_password_and_signs_out(front: Door, pool: Pool) -> None:
    async with front.browser() as browser, client_of(pool, front.api, Role.viewer) as program:
        await sign_in(browser, "Maria")
        token = await csrf_token(browser)
        me = {"name": "Maria", "role": "editor", "kind": "user", "csrf_token": token}
        assert (await browser.get("/api/session")).json() == me
        called = {"name": "the-viewer", "role": "viewer", "kind": "token", "csrf_token": None}
        assert (await program.get("/api/session")).json() == called
        problem(await program.delete("/api/session"), 409)
        problem(await program.put("/api/session/password", json={"current": "a", "new": "b" * 12}), 409)
        headers = {"X-CSRF-Token": token}
        short = await browser.put("/api/session/password", json={"current": PASSWORD, "new": "x"}, headers=headers)
        assert [error["field"] for error in problem(short, 422)["errors"]] == ["new"]
        wanted = {"current": PASSWORD, "new": "a new long password"}
        assert (await browser.put("/api/session/password", json=wanted, headers=headers)).status_code == 204
        headers = {"X-CSRF-Token": await csrf_token(browser)}
        assert (await browser.delete("/api/session", headers=headers)).status_code == 204
        assert not await holds(browser)
