"""Who calls: the caller behind a request, held to the role a route needs.

Programs send a bearer token. People have signed in, and their browser sends the session's cookie by itself, also with
requests that other sites make it send; so what writes must prove besides that one of our pages made it.
"""

import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from fastapi.security import APIKeyCookie, HTTPBearer
from pydantic import Field
from starlette.types import Scope

from services.admin.login import Logins, LoginSettings
from services.admin.passwords import Passwords
from shared.database import Pool
from shared.http.callers import find_caller
from shared.http.problems import refuse
from shared.http.secure_headers import is_https
from shared.http.session_cookie import drop_session_cookie, session_id_in, set_session_cookie
from shared.security import Caller, Role
from shared.sessions import Session

CSRF_HEADER: Final = "x-csrf-token"
CSRF_FIELD: Final = "csrf_token"
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_bearer = HTTPBearer(auto_error=False, description="an API token")
_cookie = APIKeyCookie(name="offers_session", auto_error=False, description="a login session; over HTTPS `__Host-…`")


class AccessSettings(LoginSettings):
    """What deciding who calls depends on."""

    admin_public_url: str | None = Field(
        default=None, pattern=r"^https?://[^/\s]+/?$", description="where people reach the page, if a proxy hides it"
    )


class Access:
    """Makes the dependencies by which routes learn their caller."""

    def __init__(self, pool: Pool, settings: AccessSettings, passwords: Passwords | None = None) -> None:
        self._pool = pool
        self.logins = Logins(pool, settings, passwords or Passwords())
        self._origin = urlsplit(settings.admin_public_url.lower()) if settings.admin_public_url else None

    def caller(self, needed: Role) -> Callable[..., Awaitable[Caller]]:
        """A dependency: the caller, whose role must be at least the needed one."""

        async def caller(
            request: Request, _: Annotated[object, Depends(_bearer)], __: Annotated[object, Depends(_cookie)]
        ) -> Caller:
            found = await self.find_caller(request, needed)
            if found.session is not None and request.method not in _READS:
                await self._require_proof(request, found.session)
            return found

        return caller

    async def find_caller(self, request: Request, needed: Role, *, in_use: bool = True) -> Caller:
        """The caller as they stand now. A stream asks again now and then, not `in_use`: nobody may be looking.

        Raises:
            NotAuthenticated: nobody has signed in, and there is no valid token.
            NotPermitted: the caller's role is too low.
            SessionsAway: Redis doesn't answer, and there is no token.
        """
        secure = self.is_https(request.scope)
        return await find_caller(request, self._pool, self.logins.sessions, needed, secure=secure, in_use=in_use)

    def session_id(self, request: Request) -> str | None:
        """What the browser holds of a session, valid or not."""
        return session_id_in(request.cookies, self.is_https(request.scope))

    def is_https(self, scope: Scope) -> bool:
        """Whether people reach the page by HTTPS."""
        return self._origin.scheme == "https" if self._origin else is_https(scope)

    def keep(self, request: Request, response: Response, session: Session) -> None:
        """Give the session to the browser."""
        set_session_cookie(response, session.id, self.is_https(request.scope))

    def forget(self, request: Request, response: Response) -> None:
        """Take the session from the browser."""
        drop_session_cookie(response, self.is_https(request.scope))

    async def aclose(self) -> None:
        """Let go of what it holds open."""
        await self.logins.aclose()

    def require_own_origin(self, request: Request) -> None:
        """Refuse what a browser says that another site made it send.

        Raises:
            Refused: if so.
        """
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "same-origin")
        if site not in ("same-origin", "none") or (origin is not None and not self._is_own(origin, request)):
            _refuse_forged("the request comes from another site")

    def _is_own(self, origin: str, request: Request) -> bool:
        try:
            found = urlsplit(origin.lower())
        except ValueError:
            return False
        if self._origin is not None:
            return (found.scheme, found.netloc) == (self._origin.scheme, self._origin.netloc)
        return found.scheme in ("http", "https") and found.netloc == request.headers.get("host", "").lower()

    async def _require_proof(self, request: Request, session: Session) -> None:
        self.require_own_origin(request)
        given = request.headers.get(CSRF_HEADER)
        if given is None and request.headers.get("content-type", "").startswith(_FORMS):
            given = str((await request.form()).get(CSRF_FIELD, ""))
        if not hmac.compare_digest((given or "").encode(), session.csrf_token.encode()):
            _refuse_forged("the page is out of date, or another site sent this: load it again and repeat")


def _refuse_forged(detail: str) -> None:
    refuse(HTTPStatus.FORBIDDEN, detail, type="urn:offers:problem:csrf")
