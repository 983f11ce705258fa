"""The catalogue in Redis: shared by workers, dropped when told, and never believed against PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
import pytest
from redis.asyncio import Redis

from deploy.embedded.redis import RedisServer
from services.redemption.catalogue import Catalogue
from services.redemption.handler import RedemptionHandler
from services.redemption.routing import ReplyRouter
from shared.broker import Publisher
from shared.cache import Cache
from shared.database import Pool
from shared.settings import RedisSettings
from tests.support.campaign import add_offer
from tests.support.deciding import NOWHERE, replies_to
from tests.support.requests import redeem


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def cache(redis_url: str) -> AsyncIterator[Cache]:
    async with aclosing(Cache(RedisSettings(redis_url=redis_url))) as opened:
        yield opened


async def status(pool: Pool, catalogue: Catalogue, request: dict[str, Any]) -> str:
    handle = RedemptionHandler(pool, ReplyRouter(Publisher(NOWHERE, "test")), "", catalogue)
    (reply,) = await replies_to(handle, [orjson.dumps(request)])
    decided = orjson.loads(reply)
    return str(decided["reason"] or decided["price_paid"])


async def test_a_definition_read_by_one_worker_serves_the_next(pool: Pool, redis: Redis, cache: Cache) -> None:
    offer_id = await add_offer(pool, code="TEN")
    assert await status(pool, Catalogue(cache), redeem(offer_id)) == "90.00"
    assert await redis.get("offers:code:TEN") == str(offer_id).encode()
    kept = orjson.loads(await redis.get(f"offers:definition:{offer_id}") or b"")
    assert (kept["offer"]["code"], kept["has_rules"]) == ("TEN", False)
    assert 0 < await redis.ttl(f"offers:definition:{offer_id}") <= 60
    # What is there is really used: another price in it, of the same version, shows.
    kept["offer"]["discount_value"] = "40.00"
    await redis.set(f"offers:definition:{offer_id}", orjson.dumps(kept))
    assert await status(pool, Catalogue(cache), redeem(None, code="TEN")) == "60.00"


async def test_a_definition_of_another_version_is_not_used(pool: Pool, redis: Redis, cache: Cache) -> None:
    offer_id = await add_offer(pool)
    assert await status(pool, Catalogue(cache), redeem(offer_id)) == "90.00"
    await pool.execute("UPDATE offers SET discount_value = 25")
    assert await status(pool, Catalogue(cache), redeem(offer_id)) == "75.00"
    kept = orjson.loads(await redis.get(f"offers:definition:{offer_id}") or b"")
    assert kept["offer"]["discount_value"] == "25.00"


@pytest.mark.parametrize("garbage", [b"", b"{}", b"no json", b'{"version": [1, 1]}', b"\xff"])
async def test_what_another_release_left_in_redis_is_read_anew(
    pool: Pool, redis: Redis, cache: Cache, garbage: bytes
) -> None:
    offer_id = await add_offer(pool, code="TEN")
    await redis.set(f"offers:definition:{offer_id}", garbage)
    await redis.set("offers:code:TEN", garbage)
    assert await status(pool, Catalogue(cache), redeem(None, code="TEN")) == "90.00"


async def test_a_change_that_is_told_drops_the_definition(pool: Pool, redis: Redis, cache: Cache) -> None:
    offer_id = await add_offer(pool)
    catalogue = Catalogue(cache)
    await status(pool, catalogue, redeem(offer_id))
    await catalogue.forget([offer_id, UUID(int=1)])
    assert await redis.get(f"offers:definition:{offer_id}") is None
    assert await status(pool, catalogue, redeem(offer_id)) == "90.00"


async def test_without_redis_everything_is_decided_as_ever_and_it_is_used_again_once_back(
    pool: Pool, tmp_path: Path
) -> None:
    offer_id = await add_offer(pool, code="TEN")
    server = RedisServer()
    await server.start(tmp_path)
    async with aclosing(Cache(RedisSettings(redis_url=server.url))) as cache:
        try:
            assert await status(pool, Catalogue(cache), redeem(None, code="TEN")) == "90.00"
            await server.stop()
            catalogue = Catalogue(cache)
            assert await status(pool, catalogue, redeem(None, code="TEN")) == "90.00"
            await pool.execute("UPDATE offers SET discount_value = 25")
            await catalogue.forget([offer_id])
            assert await status(pool, catalogue, redeem(None, code="TEN")) == "75.00"
        finally:
            await server.stop()


async def test_while_redis_is_away_it_is_left_alone_and_then_tried_again(
    redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("shared.cache.time", SimpleNamespace(monotonic=lambda: clock[0]))
    async with aclosing(Cache(RedisSettings(redis_url=redis_url))) as cache:
        await cache.put({"key": b"value"}, 60)
        await redis.client_pause(300)  # Slower than anybody waits for.
        assert await cache.get(["key"]) == {}
        await redis.client_unpause()
        assert await cache.get(["key"]) == {}
        clock[0] += 10
        assert await cache.get(["key"]) == {"key": b"value"}
