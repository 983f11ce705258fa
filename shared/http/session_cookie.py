"""The cookie of a login session: what it is called, and how browsers must treat it."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

_PLAIN: Final = "offers_session"
_SECURE: Final = "__Host-offers_session"
"""Browsers take a name that begins so only over HTTPS, from this very host: no other host or HTTP page can plant it."""


def session_id_in(cookies: Mapping[str, str], secure: bool) -> str | None:
    """The session's id in a request's cookies, if there is one; `secure`: people reach the service by HTTPS."""
    return cookies.get(_SECURE) or (None if secure else cookies.get(_PLAIN))


def set_session_cookie(response: Response, session_id: str, secure: bool) -> None:
    """Let the browser keep the id until it is closed: out of reach of scripts, not sent with what other sites write."""
    name = _SECURE if secure else _PLAIN
    response.set_cookie(name, session_id, path="/", secure=secure, httponly=True, samesite="lax")


def drop_session_cookie(response: Response, secure: bool) -> None:
    """Let the browser forget the id."""
    response.delete_cookie(_SECURE if secure else _PLAIN, path="/", secure=secure, httponly=True, samesite="lax")
