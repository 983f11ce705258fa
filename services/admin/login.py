"""Signing in and out: a right name and password, tried not too often, become a session."""

import re
from dataclasses import dataclass
from typing import Final

import asyncpg
from redis.asyncio import Redis

from services.admin.access_models import NAME_PATTERN, AdminUser
from services.admin.accounts import AccountRefusal, Change, WrongPassword, change_user
from services.admin.attempts import Attempts, AttemptSettings, TooManyAttempts
from services.admin.passwords import LENGTH_MAX, Passwords
from shared.database import Pool
from shared.security import Caller
from shared.sessions import Session, Sessions, connect_redis
from shared.settings import RedisSettings, SessionSettings
from shared.sqlfile import load_queries
from shared.telemetry import get_logger

_NAME: Final = re.compile(NAME_PATTERN, re.ASCII)

log = get_logger(__name__)
_queries = load_queries(__file__, "access.sql")


class LoginSettings(RedisSettings, SessionSettings, AttemptSettings):
    """What signing in depends on."""


@dataclass(frozen=True, slots=True)
class WrongLogin:
    """Nobody who may sign in has this name and password."""


class Logins:
    """Signs people in and out. Whatever needs Redis raises SessionsAway if it doesn't answer."""

    def __init__(self, pool: Pool, settings: LoginSettings, passwords: Passwords) -> None:
        self._pool = pool
        self._redis: Redis = connect_redis(settings)
        self.sessions = Sessions(self._redis, settings)
        self.attempts = Attempts(self._redis, settings)
        self.passwords = passwords

    async def sign_in(
        self, name: str, password: str, address: str | None, replaced: str | None
    ) -> Session | WrongLogin | TooManyAttempts:
        """A new session; the one the browser had before, `replaced`, ends. Unknown names take as long as others."""
        refused = await self.attempts.begin(name, address)
        if refused is not None:
            log.warning("login refused", action="login.limited", address=address)
            return refused
        row = await self._find(name.strip())
        fits = await self.passwords.fits(row["password_hash"] if row else None, password[: LENGTH_MAX + 1])
        if row is None or not fits or row["disabled_at"] is not None:
            log.warning("login failed", action="login.failed", address=address, user=row["name"] if row else None)
            return WrongLogin()
        await self.attempts.succeeded(name, address)
        if self.passwords.is_outdated(row["password_hash"]):
            hashed = await self.passwords.hash(password)
            await self._pool.execute(_queries.keep_hash, row["id"], row["password_hash"], hashed)
        if replaced is not None:
            await self.sessions.end(replaced)
        log.info("signed in", action="login.succeeded", address=address, user=row["name"])
        return await self.sessions.start(row["id"], row["version"])

    async def _find(self, name: str) -> asyncpg.Record | None:
        # Names are ASCII. PostgreSQL and Python disagree on the lower case of others, which would count apart.
        return await self._pool.fetchrow(_queries.find_login, name) if _NAME.fullmatch(name) else None

    async def sign_out(self, session: Session, everywhere: bool = False) -> None:
        """End a session, or all of its user's."""
        if everywhere:
            await self._pool.execute(_queries.end_sessions, session.user_id)
        await self.sessions.end(session.id)

    async def change_password(
        self, caller: Caller, session: Session, current: str, new: str
    ) -> Session | AccountRefusal | TooManyAttempts:
        """Change one's own password, which takes the current one: a new session, all those before end."""
        refused = await self.attempts.begin(caller.name, caller.address)
        if refused is not None:
            return refused
        async with self._pool.acquire() as connection:
            row = await connection.fetchrow(_queries.find_password, session.user_id)
            if row is None or not await self.passwords.fits(row["password_hash"], current):
                return WrongPassword()
            await self.attempts.succeeded(caller.name, caller.address)
            change = Change(password=new)
            changed = await change_user(connection, self.passwords, session.user_id, change, row["version"], caller)
        if not isinstance(changed, AdminUser):
            return changed
        await self.sessions.end(session.id)
        return await self.sessions.start(changed.id, changed.version)

    async def aclose(self) -> None:
        """Disconnect from Redis."""
        await self._redis.aclose()
