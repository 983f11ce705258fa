"""Redis as a cache of what stands in PostgreSQL: what it can't answer in time is a miss, never an error."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.redis_client import redis_client
from shared.settings import RedisSettings
from shared.telemetry import get_logger

T = TypeVar("T")

ANSWER_S_MAX: Final = 0.05
"""A cache that takes longer than this costs more than it saves."""
HANDSHAKE_S_MAX: Final = 0.25
"""Once a connection, with TLS."""
PAUSE_S_MIN: Final = 0.2
PAUSE_S_MAX: Final = 5.0
_FAILURES: Final = (RedisError, OSError, TimeoutError)

log = get_logger(__name__)


class Cache:
    """Values by key, each for the length of its lease. While Redis is away it is left alone, for longer each time."""

    def __init__(self, settings: RedisSettings) -> None:
        """Connects when first used."""
        # By itself it would try for long, with a transaction waiting.
        self._redis: Redis = redis_client(settings, answer_s_max=ANSWER_S_MAX, connect_s_max=HANDSHAKE_S_MAX, retries=0)
        self._away_until = 0.0
        self._pause_s = PAUSE_S_MIN

    async def get(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """What is there of these keys."""
        values = await self._try(lambda: self._redis.mget(keys)) if keys else None
        found = zip(keys, values or (), strict=False)
        return {key: value for key, value in found if isinstance(value, bytes)}

    async def put(self, values: Mapping[str, bytes], lease_s: int) -> None:
        """Keep values for so long."""
        if not values:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for key, value in values.items():
            pipeline.set(key, value, ex=lease_s)
        await self._try(pipeline.execute)

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget keys."""
        if keys:
            await self._try(lambda: self._redis.delete(*keys))

    async def aclose(self) -> None:
        """Disconnect."""
        await self._redis.aclose()

    async def _try(self, call: Callable[[], Awaitable[T]]) -> T | None:
        if time.monotonic() < self._away_until:
            return None
        try:
            answer = await call()
        except _FAILURES as error:
            log.warning("cache away", action="cache.away", error=repr(error), pause_s=self._pause_s)
            self._away_until = time.monotonic() + self._pause_s
            self._pause_s = min(PAUSE_S_MAX, 2 * self._pause_s)
            return None
        self._pause_s = PAUSE_S_MIN
        return answer
