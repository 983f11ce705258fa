"""The admin application with people who sign in to it, as their browsers do."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpx
from argon2 import PasswordHasher
from fastapi import FastAPI

from services.admin.access import Access, AccessSettings
from services.admin.passwords import Passwords
from shared.database import Pool
from shared.security import Role
from tests.support.admin import admin_api

PASSWORD: Final = "correct horse battery"
ORIGIN: Final = "http://admin.test"


CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=1_024, parallelism=1)
"""Real hashes cost so much that tests of logins would take minutes."""


@cache
def _hashed() -> str:
    return CHEAP.hash(PASSWORD)


async def add_person(pool: Pool, name: str, role: Role) -> str:
    """Somebody who may sign in with PASSWORD; their id."""
    return str(
        await pool.fetchval(
            "INSERT INTO admin_users (name, password_hash, role) VALUES ($1, $2, $3) RETURNING id",
            name,
            _hashed(),
            role.name,
        )
    )


@dataclass(frozen=True, slots=True)
class Door:
    """The application, and the Redis its logins are in."""

    pool: Pool
    access: Access
    api: FastAPI

    @asynccontextmanager
    async def browser(self, address: str = "192.0.2.1", origin: str = ORIGIN) -> AsyncIterator[httpx.AsyncClient]:
        """A browser that nobody has signed in with. Redirects are not followed."""
        transport = httpx.ASGITransport(app=self.api, raise_app_exceptions=False, client=(address, 4711))
        headers = {"Accept": "text/html,*/*;q=0.8", "Origin": origin}
        async with httpx.AsyncClient(transport=transport, base_url=origin, headers=headers) as client:
            yield client

    @asynccontextmanager
    async def signed_in(self, role: Role, name: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """The browser of a new person of this role, whose writes carry the CSRF token."""
        name = name or f"the-{role.name}"
        await add_person(self.pool, name, role)
        async with self.browser() as client:
            await sign_in(client, name)
            client.headers["X-CSRF-Token"] = await csrf_token(client)
            yield client


@asynccontextmanager
async def door(pool: Pool, redis_url: str, **settings: Any) -> AsyncIterator[Door]:
    """The application with these settings."""
    access = Access(pool, AccessSettings(redis_url=redis_url, **settings), Passwords(CHEAP))
    try:
        yield Door(pool, access, admin_api(pool, access))
    finally:
        await access.aclose()


async def sign_in(client: httpx.AsyncClient, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    """Send the login form."""
    return await client.post("/login", data={"name": name, "password": password} | more)


async def csrf_token(client: httpx.AsyncClient) -> str:
    """The token in a page of the session."""
    page = await client.get("/account")
    assert page.status_code == 200, page.text
    (found,) = re.findall(r'<meta name="csrf-token" content="([0-9a-f]{64})">', page.text)
    return str(found)
