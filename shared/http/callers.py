"""Finds the caller behind a request, by what an HTTP API takes: a bearer token, or the cookie of a login session."""

from fastapi import Request

from shared.database import Pool
from shared.http.session_cookie import session_id_in
from shared.security import Caller, Role, authenticate, authenticate_session
from shared.sessions import Sessions


def address_of(request: Request) -> str | None:
    """The network address a request came from."""
    return request.client.host if request.client else None


async def find_caller(
    request: Request,
    pool: Pool,
    sessions: Sessions | None,
    needed: Role,
    *,
    secure: bool = False,
    in_use: bool = True,
) -> Caller:
    """The caller as they stand now.

    `sessions`: none are taken without. `secure`: people reach the service by HTTPS. `in_use`: the session is not idle,
    as somebody has just done something.

    Raises:
        NotAuthenticated: nobody has signed in, and there is no valid token.
        NotPermitted: the caller's role is too low.
        SessionsAway: Redis doesn't answer, and there is no token.
    """
    authorization, address = request.headers.get("authorization"), address_of(request)
    session_id = session_id_in(request.cookies, secure)
    if sessions is None or session_id is None or authorization is not None:
        return await authenticate(pool, authorization, needed, address)
    session = await sessions.find(session_id, in_use=in_use)
    return await authenticate_session(pool, session, needed, address)
