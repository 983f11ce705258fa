"""Signing in to the admin page and out of it: what is let in, for how long, and what is refused."""

from collections.abc import AsyncIterator

import httpx
import pytest
from redis.asyncio import Redis

from shared.database import Pool
from shared.security import Role
from tests.support.access import PASSWORD, Door, add_person, csrf_token, door, sign_in
from tests.support.admin import problem


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """Redis, empty."""
    async with Redis.from_url(redis_url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def front(pool: Pool, redis: Redis, redis_url: str) -> AsyncIterator[Door]:
    """The application with Maria, an editor."""
    await add_person(pool, "Maria", Role.editor)
    async with door(pool, redis_url) as opened:
        yield opened


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
