"""API tokens: made, listed and revoked. A change and its audit event are one transaction."""

from uuid import UUID

from services.admin.access_events import announce
from services.admin.access_models import CreatedToken, RoleName, Token
from shared.database import Connection, Pool
from shared.security import Caller, hash_token, new_token
from shared.sqlfile import load_queries

_queries = load_queries(__file__, "access.sql")


async def list_tokens(pool: Pool | Connection) -> list[Token]:
    """Every token, valid ones first, newest first."""
    return [Token.model_validate(dict(row)) for row in await pool.fetch(_queries.list_tokens)]


async def make_token(
    connection: Connection, name: str, role: RoleName, caller: Caller, token: str | None = None
) -> CreatedToken:
    """A new token, random unless given; only its hash is kept, so it can't be told again."""
    token = token or new_token()
    async with connection.transaction():
        row = await connection.fetchrow(_queries.insert_token, name, role, hash_token(token), caller.name)
        assert row is not None
        await announce(connection, "token.created", row["id"], name, {"role": (None, role)}, caller)
    return CreatedToken.model_validate(dict(row) | {"token": token})


async def revoke_token(connection: Connection, token_id: UUID, caller: Caller) -> Token | None:
    """Refuse a token from now on, if it is not yet; None if there is none."""
    async with connection.transaction():
        row = await connection.fetchrow(_queries.find_token, token_id)
        if row is not None and row["revoked_at"] is None:
            row = await connection.fetchrow(_queries.revoke_token, token_id)
            assert row is not None
            await announce(connection, "token.revoked", token_id, row["name"], {"revoked": (False, True)}, caller)
    return Token.model_validate(dict(row)) if row is not None else None
