"""Every route of the admin service, whichever are added: who is refused, by login, role and CSRF token."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from shared.database import Pool
from shared.http.secure_headers import CONTENT_SECURITY_POLICY
from shared.security import Role
from tests.support.access import Door, door
from tests.support.admin import client_of, problem
from tests.support.routes import Way, every_way

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("*", "/assets"),
}
"""Open to everybody; nothing else may be."""
FOR_VIEWERS = {
    ("POST", "/api/offers/preview"),
    ("POST", "/api/offers/test"),
    ("POST", "/logout"),
    ("POST", "/account/password"),
    ("DELETE", "/api/session"),
    ("PUT", "/api/session/password"),
}
"""Writes that a viewer may: they try something out, or concern nobody else."""
FOR_ADMINS = ("/access", "/api/admins", "/api/tokens")
"""Where only admins may read or write."""


@pytest.fixture
async def front(pool: Pool, redis_url: str) -> AsyncIterator[Door]:
    async with door(pool, redis_url) as opened:
        yield opened


def guarded(front: Door) -> list[Way]:
    """The routes that are not open."""
    found = [way for way in every_way(front.api) if (way.method, way.path) not in OPEN]
    assert len(found) > 25
    return found


def is_forged(answer: httpx.Response) -> bool:
    return answer.status_code == 403 and answer.json()["type"] == "urn:offers:problem:csrf"


async def test_what_is_open_is_listed_here_and_nothing_else(front: Door) -> None:
    assert {(way.method, way.path) for way in every_way(front.api)} >= OPEN
    async with front.browser() as anonymous:
        for method, path in sorted(OPEN):
            if method == "GET":
                assert (await anonymous.get(path)).status_code == 200


async def test_without_a_login_every_route_refuses(front: Door, pool: Pool) -> None:
    async with front.browser() as anonymous, client_of(pool, front.api, None) as program:
        for way in guarded(front):
            shown = await anonymous.request(way.method, way.url)
            if not way.is_page:
                assert problem(shown, 401)
                assert shown.headers["www-authenticate"] == "Bearer"
            else:
                assert (way, shown.status_code) == (way, 303)
                assert shown.headers["location"].startswith("/login")
            part = await anonymous.request(way.method, way.url, headers={"HX-Request": "true"})
            assert (way, part.status_code) == (way, 401)
            assert part.headers["hx-redirect"].startswith("/login")
            called = await program.request(way.method, way.url, headers={"Authorization": "Bearer unknown"})
            assert problem(called, 401)


async def test_viewers_write_nothing(front: Door, pool: Pool) -> None:
    async with front.signed_in(Role.viewer) as viewer, client_of(pool, front.api, Role.viewer) as program:
        for way in guarded(front):
            for_admins = way.path.startswith(FOR_ADMINS)
            if for_admins or (way.method != "GET" and (way.method, way.path) not in FOR_VIEWERS):
                assert (way, (await viewer.request(way.method, way.url)).status_code) == (way, 403)
                assert (way, (await program.request(way.method, way.url)).status_code) == (way, 403)


async def test_editors_neither_see_nor_change_who_has_access(front: Door, pool: Pool) -> None:
    async with front.signed_in(Role.editor) as editor, client_of(pool, front.api, Role.editor) as program:
        assert "/access" not in (await editor.get("/offers")).text
        for way in guarded(front):
            if way.path.startswith(FOR_ADMINS):
                assert (way, (await editor.request(way.method, way.url)).status_code) == (way, 403)
                assert (way, (await program.request(way.method, way.url)).status_code) == (way, 403)


async def test_with_a_session_every_write_needs_the_csrf_token(front: Door) -> None:
    async with front.signed_in(Role.admin) as admin:
        admin.headers["Accept"] = "application/json"
        token = admin.headers.pop("X-CSRF-Token")
        writes = [way for way in guarded(front) if way.method != "GET"]
        assert {way.method for way in writes} >= {"POST", "PUT", "PATCH", "DELETE"}
        for way in writes:
            tries: list[dict[str, Any]] = [{"json": {}}, {"data": {"a": "b"}}, {}]
            for arguments in (*tries, {"headers": {"X-CSRF-Token": token[::-1]}}):
                assert (way, is_forged(await admin.request(way.method, way.url, **arguments))) == (way, True)
        assert (await admin.get("/account")).status_code == 200


async def test_a_token_needs_no_csrf_token_and_an_admin_s_is_refused_nowhere_for_its_role(
    front: Door, pool: Pool
) -> None:
    async with client_of(pool, front.api, Role.admin) as program:
        program.headers["Accept"] = "application/json"
        for way in guarded(front):
            if way.method != "GET":
                answer = await program.request(way.method, way.url, json={})
                assert (way, answer.status_code < 500 and answer.status_code not in (401, 403)) == (way, True)


async def test_every_answer_tells_browsers_to_load_nothing_from_elsewhere_and_to_keep_no_copy(
    front: Door, pool: Pool
) -> None:
    async with front.signed_in(Role.viewer) as viewer, front.browser() as anonymous:
        await pool.execute("ALTER TABLE offers RENAME TO gone")
        for client, path, status in (
            (anonymous, "/login", 200),
            (anonymous, "/offers", 303),
            (anonymous, "/healthz", 200),
            (anonymous, "/api/offers", 401),
            (viewer, "/account", 200),
            (viewer, "/nothing", 404),
            (viewer, "/access/people", 403),
            (viewer, "/offers", 500),
            (viewer, "/api/offers", 500),
            (viewer, "/assets/page.js", 200),
        ):
            with capture_logs():  # Printing a failed request's variables would take seconds.
                answer = await client.get(path)
            assert (path, answer.status_code) == (path, status)
            headers = answer.headers
            assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "same-origin"
            assert headers["permissions-policy"].startswith("camera=()")
            assert "strict-transport-security" not in headers
            kept = "public, max-age=31536000, immutable" if path.startswith("/assets/") else "no-store"
            assert headers["cache-control"] == kept
        await pool.execute("ALTER TABLE gone RENAME TO offers")
