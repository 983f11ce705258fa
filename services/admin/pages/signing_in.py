"""The login page, signing out, and one's own account."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.admin.access_refusals import in_words
from services.admin.attempts import TooManyAttempts
from services.admin.login import WrongLogin
from services.admin.pages.access_forms import Typed
from services.admin.pages.next_page import local_page
from services.admin.pages.rendering import Pages
from services.admin.passwords import LENGTH_MIN
from shared.errors import NotAuthenticated, SessionsAway
from shared.http.callers import address_of
from shared.security import Caller, Role
from shared.sessions import Session

LOGIN: Final = "access/login.html"
ACCOUNT: Final = "access/account.html"
WRONG_LOGIN: Final = "The name or the password is wrong."


def login_routes(pages: Pages) -> APIRouter:
    """What is open to everybody: the way in."""
    routes = APIRouter(include_in_schema=False)

    def form(request: Request, status: HTTPStatus, next_page: str, **values: object) -> HTMLResponse:
        known = {"next_page": next_page, "name": "", "error": "", "signed_out": False}
        return pages.render(request, None, LOGIN, status, **(known | values))

    @routes.get("/login")
    async def login(
        request: Request,
        next_page: Annotated[str | None, Query(alias="next")] = None,
        signed_out: Annotated[str | None, Query(alias="signed-out")] = None,
    ) -> Response:
        wanted = local_page(next_page)
        try:
            await pages.access.find_caller(request, Role.viewer)
        except NotAuthenticated:
            return form(request, HTTPStatus.OK, wanted, signed_out=signed_out is not None)
        except SessionsAway as away:
            return form(request, HTTPStatus.SERVICE_UNAVAILABLE, wanted, error=_sentence(away))
        return RedirectResponse(wanted, HTTPStatus.SEE_OTHER)

    @routes.post("/login")
    async def sign_in(
        request: Request, name: Typed = "", password: Typed = "", next_page: Annotated[str, Form(alias="next")] = ""
    ) -> Response:
        pages.access.require_own_origin(request)
        wanted = local_page(next_page)
        held = pages.access.session_id(request)
        try:
            outcome = await pages.access.logins.sign_in(name, password, address_of(request), held)
        except SessionsAway as away:
            return form(request, HTTPStatus.SERVICE_UNAVAILABLE, wanted, name=name, error=_sentence(away))
        match outcome:
            case WrongLogin():
                response: Response = form(request, HTTPStatus.UNAUTHORIZED, wanted, name=name, error=WRONG_LOGIN)
                response.headers["WWW-Authenticate"] = "Bearer"
            case TooManyAttempts(retry_after_s):
                error = in_words(outcome)[1]
                response = form(request, HTTPStatus.TOO_MANY_REQUESTS, wanted, name=name, error=error)
                response.headers["Retry-After"] = str(retry_after_s)
            case _:
                response = RedirectResponse(wanted, HTTPStatus.SEE_OTHER)
                pages.access.keep(request, response, outcome)
        return response

    return routes


def account_routes(pages: Pages) -> APIRouter:
    """What everybody who has signed in does about that."""
    routes = APIRouter(include_in_schema=False)
    Someone = Annotated[Caller, Depends(pages.access.caller(Role.viewer))]

    def form(request: Request, caller: Caller, status: HTTPStatus, **values: object) -> HTMLResponse:
        known: dict[str, object] = {"errors": {}, "changed": False, "length_min": LENGTH_MIN}
        return pages.render(request, caller, ACCOUNT, status, **(known | values))

    @routes.post("/logout")
    async def sign_out(request: Request, caller: Someone, everywhere: Annotated[bool, Form()] = False) -> Response:
        if caller.session is not None:
            await pages.access.logins.sign_out(caller.session, everywhere)
        # The login page tells other tabs: it is shown once the session is gone, not before.
        response = RedirectResponse("/login?signed-out=1", HTTPStatus.SEE_OTHER)
        pages.access.forget(request, response)
        return response

    @routes.get("/account")
    async def account(request: Request, caller: Someone, changed: bool = False) -> HTMLResponse:
        return form(request, caller, HTTPStatus.OK, changed=changed)

    @routes.post("/account/password")
    async def change_password(
        request: Request, caller: Someone, current: Typed = "", new: Typed = "", repeated: Typed = ""
    ) -> Response:
        if caller.session is None:
            return RedirectResponse("/account", HTTPStatus.SEE_OTHER)
        if new != repeated:
            errors = {"repeated": "The two are not the same."}
            return form(request, caller, HTTPStatus.UNPROCESSABLE_ENTITY, errors=errors)
        outcome = await pages.access.logins.change_password(caller, caller.session, current, new)
        if not isinstance(outcome, Session):
            field, words = in_words(outcome)
            errors = {"new" if field == "password" else field: words}
            return form(request, caller, HTTPStatus.UNPROCESSABLE_ENTITY, errors=errors)
        pages.relay.wake()
        response = RedirectResponse("/account?changed=1", HTTPStatus.SEE_OTHER)
        pages.access.keep(request, response, outcome)
        return response

    return routes


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
