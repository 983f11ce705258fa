"""Admin users: who may sign in, with which role. A change and its audit event are one transaction."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg

from services.admin.access_events import announce
from services.admin.access_models import AdminUser, RoleName
from services.admin.passwords import Passwords, weakness
from shared.database import Connection, Pool
from shared.security import Caller
from shared.sqlfile import load_queries

_queries = load_queries(__file__, "access.sql")


@dataclass(frozen=True, slots=True)
class UserNotFound:
    """There is no such user."""


@dataclass(frozen=True, slots=True)
class NameTaken:
    """Somebody has the name, in this or another case."""

    name: str


@dataclass(frozen=True, slots=True)
class WeakPassword:
    """The password is no good one."""

    why: str


@dataclass(frozen=True, slots=True)
class StaleUser:
    """The user has been changed since the version the change was made from."""

    stated: int
    current: int


@dataclass(frozen=True, slots=True)
class LastAdmin:
    """Nobody would be left who can give others access."""

    name: str


@dataclass(frozen=True, slots=True)
class WrongPassword:
    """The current password is another one."""


AccountRefusal = UserNotFound | NameTaken | WeakPassword | StaleUser | LastAdmin | WrongPassword


@dataclass(frozen=True, slots=True)
class Change:
    """What is to change about a user; None stays."""

    role: RoleName | None = None
    disabled: bool | None = None
    password: str | None = field(default=None, repr=False)


async def list_users(pool: Pool | Connection) -> list[AdminUser]:
    """Everybody, by name."""
    return [_user(row) for row in await pool.fetch(_queries.list_users)]


async def find_user(pool: Pool | Connection, user_id: UUID) -> AdminUser | None:
    """One user."""
    row = await pool.fetchrow(_queries.find_user, user_id)
    return _user(row) if row is not None else None


async def find_user_named(pool: Pool | Connection, name: str) -> AdminUser | None:
    """One user by name, in any case."""
    row = await pool.fetchrow(_queries.find_user_named, name)
    return _user(row) if row is not None else None


async def create_user(
    connection: Connection, passwords: Passwords, name: str, role: RoleName, password: str, caller: Caller
) -> AdminUser | NameTaken | WeakPassword:
    """Let somebody sign in."""
    why = weakness(name, password)
    if why is not None:
        return WeakPassword(why)
    hashed = await passwords.hash(password)
    try:
        async with connection.transaction():
            user_id = await connection.fetchval(_queries.insert_user, name, hashed, role, caller.name)
            await announce(connection, "admin.created", user_id, name, {"role": (None, role)}, caller)
            return await _stored(connection, user_id)
    except asyncpg.UniqueViolationError:
        return NameTaken(name)


async def change_user(
    connection: Connection,
    passwords: Passwords,
    user_id: UUID,
    change: Change,
    version: int | None,
    caller: Caller,
) -> AdminUser | AccountRefusal:
    """Change a user, if they still have the version; what changes nothing is no change. Their sessions end."""
    named = await find_user(connection, user_id)
    if named is None:
        return UserNotFound()
    why = weakness(named.name, change.password) if change.password is not None else None
    if why is not None:
        return WeakPassword(why)
    hashed = await passwords.hash(change.password) if change.password is not None else None
    async with connection.transaction():
        await connection.execute(_queries.lock_users)
        before = await _stored(connection, user_id)
        if version is not None and version != before.version:
            return StaleUser(version, before.version)
        role = change.role or before.role
        was_disabled = before.disabled_at is not None
        disabled = was_disabled if change.disabled is None else change.disabled
        if (role, disabled, hashed) == (before.role, was_disabled, None):
            return before
        loses_admin = before.role == "admin" and not was_disabled and (role != "admin" or disabled)
        if loses_admin and not await connection.fetchval(_queries.other_admins, user_id):
            return LastAdmin(before.name)
        await connection.execute(_queries.update_user, user_id, role, disabled, hashed)
        changes = _changes(before, role, was_disabled, disabled, hashed)
        await announce(connection, "admin.updated", user_id, before.name, changes, caller)
        return await _stored(connection, user_id)


def _changes(
    before: AdminUser, role: str, was_disabled: bool, disabled: bool, hashed: str | None
) -> dict[str, tuple[Any, Any]]:
    changes: dict[str, tuple[Any, Any]] = {}
    if role != before.role:
        changes["role"] = (before.role, role)
    if disabled != was_disabled:
        changes["disabled"] = (was_disabled, disabled)
    if hashed is not None:
        changes["password"] = ("set", "changed")
    return changes


async def _stored(connection: Connection, user_id: UUID) -> AdminUser:
    user = await find_user(connection, user_id)
    assert user is not None, "users are never deleted"
    return user


def _user(row: asyncpg.Record) -> AdminUser:
    return AdminUser.model_validate(dict(row))
