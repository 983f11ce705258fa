"""Bearer tokens of the HTTP APIs: who is calling, and whether their role is enough."""

import hashlib
import secrets
from dataclasses import dataclass
from enum import IntEnum

from shared.database import Connection, Pool
from shared.errors import NotAuthenticated, NotPermitted
from shared.sqlfile import load_queries

_queries = load_queries(__file__, "security.sql")


class Role(IntEnum):
    """What a caller may do; each role includes the ones before it."""

    viewer = 1
    editor = 2
    admin = 3


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, and from which network address, where that is known."""

    name: str
    role: Role
    address: str | None = None


def hash_token(token: str) -> bytes:
    """What is stored of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


async def create_token(connection: Connection, name: str, role: Role, token: str | None = None) -> str:
    """Store a new token (random unless given) and return it; it can't be read back."""
    token = token or "ofr_" + secrets.token_urlsafe(32)
    await connection.execute(_queries.add_token, name, role.name, hash_token(token))
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
    caller = Caller(row["name"], Role[row["role"]], address)
    if caller.role < needed:
        raise NotPermitted(f"the role {needed.name} is needed, this token is a {caller.role.name}'s")
    return caller
