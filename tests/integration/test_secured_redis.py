"""Redis over TLS: a server that can't prove who it is gets no password, and certificates may be replaced."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.embedded.errors import ServerError
from shared.cache import Cache
from shared.client import RedemptionClient
from shared.database import Pool
from shared.errors import ConfigurationError
from shared.redis_client import check_redis, redis_client, redis_refusal
from shared.settings import KafkaSettings, RedisSettings
from tests.support.campaign import add_offer
from tests.support.certificates import Authority
from tests.support.metrics import until_true
from tests.support.secured_redis import PASSWORD, SecuredRedis
from tests.support.worker_processes import worker_processes


@pytest.fixture(scope="module")
def authority(servers_dir: Path) -> Authority:
    return Authority(servers_dir / "redis-ca")


@pytest.fixture(scope="module")
async def secured(servers_dir: Path, authority: Authority) -> AsyncIterator[SecuredRedis]:
    server = SecuredRedis(authority)
    await server.start(servers_dir / "secured-redis")
    yield server
    await server.stop()


@pytest.fixture
def settings(secured: SecuredRedis, authority: Authority) -> RedisSettings:
    return RedisSettings(redis_url=secured.url, redis_ssl_cafile=str(authority.ca))


@pytest.fixture
async def client(settings: RedisSettings) -> AsyncIterator[Redis]:
    async with redis_client(settings, answer_s_max=5.0) as client:
        yield client


async def test_what_is_put_is_there(settings: RedisSettings, client: Redis) -> None:
    await check_redis(settings)
    async with aclosing(Cache(settings)) as cache:

        async def kept() -> bool:
            """On a busy machine Redis may not answer in time."""
            await cache.put({"fruit": b"apple"}, lease_s=60)
            return await cache.get(["fruit"]) == {"fruit": b"apple"}

        await until_true(kept, "what is put is there")
    assert await client.get("fruit") == b"apple"


async def test_a_start_without_access_is_refused_in_one_line(settings: RedisSettings, tmp_path: Path) -> None:
    other = str(Authority(tmp_path / "other").ca)
    url = settings.redis_url
    for wrong, line in (
        ({"redis_ssl_cafile": other}, "OFFERS_REDIS_SSL_CAFILE: .* is not trusted: "),
        ({"redis_ssl_cafile": None}, "OFFERS_REDIS_SSL_CAFILE: .* is not trusted: "),
        ({"redis_ssl_cafile": str(tmp_path / "none")}, "OFFERS_REDIS_SSL_CAFILE: .*none: No such file"),
        ({"redis_url": url.replace("127.0.0.1", "localhost")}, "OFFERS_REDIS_URL: .* is for another name: .*localhost"),
        ({"redis_url": url.replace(PASSWORD, "wrong")}, "OFFERS_REDIS_URL: Redis refuses the login: "),
        ({"redis_url": url.replace(f":{PASSWORD}@", "")}, "OFFERS_REDIS_URL: Redis refuses the login: "),
    ):
        with pytest.raises(ConfigurationError, match=f"^{line}[^\n]*$"):
            await check_redis(settings.model_copy(update=wrong))


async def test_a_start_without_redis_goes_on(settings: RedisSettings) -> None:
    await check_redis(settings.model_copy(update={"redis_url": "rediss://127.0.0.1:1/0"}))


async def test_a_client_certificate_may_be_renewed_while_the_client_is_open(
    settings: RedisSettings, client: Redis, authority: Authority
) -> None:
    await client.config_set("tls-auth-clients", "yes")
    try:
        async with redis_client(settings, answer_s_max=5.0) as nobody:
            await until_true(lambda: _is_told_why(nobody), "who has no certificate is told so")
        mine = authority.issue("worker")
        files = {"redis_ssl_certfile": str(mine.certificate), "redis_ssl_keyfile": str(mine.key)}
        async with redis_client(settings.model_copy(update=files), answer_s_max=5.0) as holder:
            assert await holder.ping() is True
            authority.issue("worker", expired=True).put_at(mine)
            await holder.connection_pool.disconnect()
            await until_true(lambda: _is_told_why(holder), "whose certificate has expired is told so")
            authority.issue("renewed").put_at(mine)
            assert await holder.ping() is True
    finally:
        await client.config_set("tls-auth-clients", "no")


async def _is_told_why(client: Redis) -> bool:
    """Redis hangs up on whom it refuses, and may do so before why has been read."""
    with pytest.raises(RedisError) as refused:
        await client.ping()
    told = redis_refusal(refused.value)
    assert told is None or told.startswith("OFFERS_REDIS_SSL_CERTFILE: ")
    return told is not None


async def test_a_service_keeps_offers_there(
    settings: RedisSettings, client: Redis, database_url: str, pool: Pool, kafka: KafkaSettings, tmp_path: Path
) -> None:
    redis = {"OFFERS_REDIS_URL": settings.redis_url, "OFFERS_REDIS_SSL_CAFILE": str(settings.redis_ssl_cafile)}
    refused = {"OFFERS_REDIS_URL": settings.redis_url.replace(PASSWORD, "wrong")}
    async with worker_processes("redemption", database_url, kafka, tmp_path, **redis) as workers:
        with pytest.raises(ServerError, match=r"code 2: .*error: OFFERS_REDIS_URL: Redis refuses the login"):
            await workers.start("refused", environment=refused)
        worker = await workers.start("first")
        async with RedemptionClient(kafka) as checkout:

            async def kept() -> bool:
                """On a busy machine Redis may not answer in time, and the offer is not kept."""
                offer = await add_offer(pool)
                reply = await checkout.redeem(uuid4(), Decimal("100.00"), offer_id=offer, timeout_s=30)
                assert reply.status == "accepted"
                return await client.exists(f"offers:definition:{offer}") == 1

            await until_true(kept, "an offer is kept in Redis")
        assert await worker.stop() == 0
