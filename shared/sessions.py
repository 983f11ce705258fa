"""Login sessions in Redis: who may use a session's cookie, until it is idle for too long, too old, or ended.

Redis knows a session by the hash of its id, so what stands there lets nobody in. Whom a session belongs to and what
they may do is looked up anew with each request (`shared/security.py`).
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.clock import from_us, to_us, utc_now
from shared.errors import SessionsAway
from shared.redis_client import redis_client
from shared.settings import RedisSettings, SessionSettings
from shared.telemetry import get_logger

ANSWER_S_MAX: Final = 1.0
_FAILURES: Final = (RedisError, OSError, TimeoutError)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

log = get_logger(__name__)


def connect_redis(settings: RedisSettings) -> Redis:
    """A client for what must be right or refused. It connects when first used, and again after a restart of Redis."""
    return redis_client(settings, answer_s_max=ANSWER_S_MAX, retries=1)


@asynccontextmanager
async def needing_redis() -> AsyncGenerator[None]:
    """Say clearly what can't be done while Redis is away.

    Raises:
        SessionsAway: Redis did not answer.
    """
    try:
        yield
    except _FAILURES as error:
        log.warning("sessions away", action="sessions.away", error=repr(error))
        raise SessionsAway("signing in is not possible now: Redis doesn't answer; API tokens go on working") from error


@dataclass(frozen=True, slots=True)
class Session:
    """A login that holds. Its id is the secret in the cookie, its CSRF token the one in the pages."""

    id: str = field(repr=False)
    user_id: UUID
    user_version: int
    started_at: datetime

    @property
    def csrf_token(self) -> str:
        """Only a page of this session can know it: made of the session's id, which it doesn't give away."""
        return hmac.new(self.id.encode(), b"csrf", hashlib.sha256).hexdigest()


class Sessions:
    """The sessions there are. Every call raises SessionsAway if Redis doesn't answer."""

    def __init__(self, redis: Redis, limits: SessionSettings, now: Callable[[], datetime] = utc_now) -> None:
        self._redis = redis
        self._idle = timedelta(seconds=limits.session_idle_s_max)
        self._whole = timedelta(seconds=limits.session_s_max)
        self._now = now

    async def start(self, user_id: UUID, user_version: int) -> Session:
        """A new session, under an id nobody has seen, of a user who has just proved who they are."""
        session = Session(secrets.token_urlsafe(32), user_id, user_version, self._now())
        kept = orjson.dumps(
            {"user_id": str(user_id), "user_version": user_version, "started_at_us": to_us(session.started_at)}
        )
        async with needing_redis():
            await self._redis.set(_key(session.id), kept, px=min(self._idle, self._whole))
        return session

    async def find(self, session_id: str, *, in_use: bool = True) -> Session | None:
        """The session of a cookie, if it holds still; `in_use`: somebody does something with it, so it is not idle."""
        if not _ID.fullmatch(session_id):
            return None
        async with needing_redis():
            kept = await self._redis.get(_key(session_id))
            session = _read(session_id, kept)
            if session is None:
                return None
            left = session.started_at + self._whole - self._now()
            if left <= timedelta():
                await self._redis.delete(_key(session_id))
                return None
            if in_use:
                await self._redis.pexpire(_key(session_id), min(self._idle, left))
        return session

    async def end(self, session_id: str) -> None:
        """Let nobody use it any more."""
        async with needing_redis():
            await self._redis.delete(_key(session_id))

    async def aclose(self) -> None:
        """Disconnect."""
        await self._redis.aclose()


def _key(session_id: str) -> str:
    return f"offers:session:{hashlib.sha256(session_id.encode()).hexdigest()}"


def _read(session_id: str, kept: object) -> Session | None:
    if not isinstance(kept, bytes):
        return None
    try:
        content = orjson.loads(kept)
        user_id, user_version = UUID(content["user_id"]), int(content["user_version"])
        return Session(session_id, user_id, user_version, from_us(content["started_at_us"]))
    except (ValueError, TypeError, KeyError, OverflowError):
        return None  # Another release wrote it: its user signs in again.
