"""Who is calling the HTTP APIs, by bearer token or login session, and whether their role is enough."""

import hashlib
import secrets
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from shared.database import Connection, Pool
from shared.errors import NotAuthenticated, NotPermitted
from shared.sessions import Session
from shared.sqlfile import load_queries

_queries = load_queries(__file__, "security.sql")
_creation = load_queries(__file__, "token_creation.sql")


class Role(IntEnum):
    """What a caller may do; each role includes the ones before it."""

    viewer = 1
    editor = 2
    admin = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and from which network address, where that is known.

    A `token` is a program; a `user` has signed in, and has a session; a `command` is run on the machine itself.
    """

    name: str
    role: Role
    address: str | None = None
    kind: Literal["token", "user", "command"] = "token"
    session: Session | None = field(default=None, repr=False)

    def described(self) -> dict[str, str | None]:
        """What audit events say of who did it."""
        return {self.kind: self.name, "role": self.role.name, "address": self.address}


def hash_token(token: str) -> bytes:
    """What is stored of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def new_token() -> str:
    """A token nobody has seen; its beginning tells scanners of leaked secrets what it is."""
    return "ofr_" + secrets.token_urlsafe(32)


async def create_token(connection: Connection, name: str, role: Role, token: str | None = None) -> str:
    """Store a new token (random unless given) and return it; it can't be read back."""
    token = token or new_token()
    await connection.execute(_creation.add_token, name, role.name, hash_token(token))
    return token


async def authenticate(pool: Pool, authorization: str | None, needed: Role, address: str | None = None) -> Caller:
    """The caller behind an `Authorization: Bearer …` header.

    Raises:
        NotAuthenticated: no token, or an unknown one.
        NotPermitted: the caller's role is below the needed one.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticated("a bearer token is needed")
    row = await pool.fetchrow(_queries.find_token, hash_token(token.strip()))
    if row is None:
        raise NotAuthenticated("the token is unknown or revoked")
    if row["use_unnoted"]:
        await pool.execute(_queries.note_use, row["id"])
    return _permitted(Caller(row["name"], Role[row["role"]], address), needed)


async def authenticate_session(pool: Pool, session: Session | None, needed: Role, address: str | None = None) -> Caller:
    """The user of a login session, as they stand now.

    Raises:
        NotAuthenticated: no session, or its user has been disabled or changed since.
        NotPermitted: the user's role is below the needed one.
    """
    if session is None:
        raise NotAuthenticated("signing in is needed")
    row = await pool.fetchrow(_queries.find_user, session.user_id, session.user_version)
    if row is None:
        raise NotAuthenticated("signing in again is needed")
    return _permitted(Caller(row["name"], Role[row["role"]], address, "user", session), needed)


def _permitted(caller: Caller, needed: Role) -> Caller:
    if caller.role < needed:
        raise NotPermitted(f"the role {needed.name} is needed; {caller.name} has the role {caller.role.name}")
    return caller
