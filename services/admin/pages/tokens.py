"""The API tokens by which programs call: listed, made and shown once, revoked."""

from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from services.admin import tokens
from services.admin.access_models import NewToken
from services.admin.pages.access_forms import ROLES, Typed, wrong_fields
from services.admin.pages.rendering import Pages
from shared.http.problems import refuse
from shared.security import Caller, Role

_WORDS: Final = {"name": "Say what will use the token, in at most 100 characters.", "role": "Choose a role."}


def token_routes(pages: Pages) -> APIRouter:
    """What admins do about API tokens."""
    routes = APIRouter(include_in_schema=False)
    Admin = Annotated[Caller, Depends(pages.access.caller(Role.admin))]

    def form(request: Request, admin: Caller, status: HTTPStatus, **values: Any) -> HTMLResponse:
        known = {"name": "", "role": "viewer", "errors": {}, "roles": ROLES, "made": None}
        return pages.render(request, admin, "access/token_new.html", status, **(known | values))

    @routes.get("/access/tokens")
    async def list_tokens(request: Request, admin: Admin) -> HTMLResponse:
        found = await tokens.list_tokens(pages.pool)
        return pages.render(request, admin, "access/tokens.html", tokens=found)

    @routes.get("/access/tokens/new")
    async def new_token(request: Request, admin: Admin) -> HTMLResponse:
        return form(request, admin, HTTPStatus.OK)

    @routes.post("/access/tokens")
    async def make_token(request: Request, admin: Admin, name: Typed = "", role: Typed = "") -> HTMLResponse:
        typed = {"name": name, "role": role}
        errors = wrong_fields(NewToken, typed, _WORDS)
        if errors:
            return form(request, admin, HTTPStatus.UNPROCESSABLE_ENTITY, errors=errors, **typed)
        wanted = NewToken.model_validate(typed)
        async with pages.pool.acquire() as connection:
            made = await tokens.make_token(connection, wanted.name, wanted.role, admin)
        pages.relay.wake()
        return form(request, admin, HTTPStatus.CREATED, made=made, **typed)

    @routes.post("/access/tokens/{token_id}/revoke")
    async def revoke_token(admin: Admin, token_id: UUID) -> RedirectResponse:
        async with pages.pool.acquire() as connection:
            revoked = await tokens.revoke_token(connection, token_id, admin)
        if revoked is None:
            refuse(HTTPStatus.NOT_FOUND, "there is no such token")
        pages.relay.wake()
        return RedirectResponse("/access/tokens", HTTPStatus.SEE_OTHER)

    return routes
