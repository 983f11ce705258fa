"""Admin users, API tokens and the caller's own session over HTTP."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.admin import accounts, tokens
from services.admin.access import Access
from services.admin.access_models import (
    AdminUser,
    AdminUserChange,
    AdminUserList,
    CreatedAdminUser,
    CreatedToken,
    CurrentSession,
    NewAdminUser,
    NewToken,
    PasswordChange,
    Token,
    TokenList,
)
from services.admin.access_refusals import explain_refusal
from services.admin.passwords import generated_password
from services.admin.requests import IfMatch, stated_version
from shared.database import Pool
from shared.http.problems import documented, refuse
from shared.outbox import OutboxRelay
from shared.security import Caller, Role
from shared.sessions import Session

_DENIED = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_WRONG = documented(HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
_ONE = documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
_CONFLICT = documented(HTTPStatus.CONFLICT)
_LIMITED = documented(HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


def admin_user_routes(pool: Pool, access: Access, relay: OutboxRelay) -> APIRouter:
    """What admins do about who may sign in."""
    needed = access.caller(Role.admin)
    routes = APIRouter(tags=["access"], dependencies=[Depends(needed)], responses=_DENIED)
    Admin = Annotated[Caller, Depends(needed)]
    passwords = access.logins.passwords

    @routes.get("/api/admins", operation_id="list_admins")
    async def list_admins() -> AdminUserList:
        """Everybody who may sign in to the admin page, whatever their role, by name; disabled users too."""
        return AdminUserList(items=await accounts.list_users(pool))

    @routes.post(
        "/api/admins", status_code=HTTPStatus.CREATED, responses=_WRONG | _CONFLICT, operation_id="create_admin"
    )
    async def create_admin(wanted: NewAdminUser, admin: Admin, response: Response) -> CreatedAdminUser:
        """Let somebody sign in. A password that is made up is in this answer, and nowhere else."""
        made_up = None if wanted.password else generated_password()
        password = made_up or (wanted.password.get_secret_value() if wanted.password else "")
        async with pool.acquire() as connection:
            created = await accounts.create_user(connection, passwords, wanted.name, wanted.role, password, admin)
        if not isinstance(created, AdminUser):
            explain_refusal(created)
        relay.wake()
        response.headers["Location"] = f"/api/admins/{created.id}"
        response.headers["ETag"] = _etag(created)
        return CreatedAdminUser(**created.model_dump(), password=made_up)

    @routes.get("/api/admins/{admin_id}", responses=_ONE, operation_id="get_admin")
    async def get_admin(admin_id: UUID, response: Response) -> AdminUser:
        """One of them."""
        found = await accounts.find_user(pool, admin_id)
        if found is None:
            explain_refusal(accounts.UserNotFound())
        response.headers["ETag"] = _etag(found)
        return found

    @routes.patch("/api/admins/{admin_id}", responses=_ONE | _WRONG | _CONFLICT, operation_id="change_admin")
    async def change_admin(
        admin_id: UUID, wanted: AdminUserChange, admin: Admin, response: Response, if_match: IfMatch = None
    ) -> AdminUser:
        """Change a role or password, disable or enable. The user is signed out everywhere by that."""
        password = wanted.password.get_secret_value() if wanted.password else None
        change = accounts.Change(wanted.role, wanted.disabled, password)
        version = stated_version(wanted.version, if_match)
        async with pool.acquire() as connection:
            changed = await accounts.change_user(connection, passwords, admin_id, change, version, admin)
        if not isinstance(changed, AdminUser):
            explain_refusal(changed)
        relay.wake()
        response.headers["ETag"] = _etag(changed)
        return changed

    return routes


def token_routes(pool: Pool, access: Access, relay: OutboxRelay) -> APIRouter:
    """What admins do about the tokens by which programs call."""
    needed = access.caller(Role.admin)
    routes = APIRouter(tags=["access"], dependencies=[Depends(needed)], responses=_DENIED)
    Admin = Annotated[Caller, Depends(needed)]

    @routes.get("/api/tokens", operation_id="list_tokens")
    async def list_tokens() -> TokenList:
        """Every API token, valid ones first, newest first; revoked ones too."""
        return TokenList(items=await tokens.list_tokens(pool))

    @routes.post("/api/tokens", status_code=HTTPStatus.CREATED, responses=_WRONG, operation_id="create_token")
    async def create_token(wanted: NewToken, admin: Admin) -> CreatedToken:
        """Make a token. It is in this answer, and nowhere else."""
        async with pool.acquire() as connection:
            made = await tokens.make_token(connection, wanted.name, wanted.role, admin)
        relay.wake()
        return made

    @routes.delete("/api/tokens/{token_id}", responses=_ONE, operation_id="revoke_token")
    async def revoke_token(token_id: UUID, admin: Admin) -> Token:
        """Refuse a token from now on. It stays in the list."""
        async with pool.acquire() as connection:
            revoked = await tokens.revoke_token(connection, token_id, admin)
        if revoked is None:
            refuse(HTTPStatus.NOT_FOUND, "there is no such token")
        relay.wake()
        return revoked

    return routes


def session_routes(access: Access, relay: OutboxRelay) -> APIRouter:
    """What everybody does about their own login."""
    needed = access.caller(Role.viewer)
    routes = APIRouter(tags=["access"], dependencies=[Depends(needed)], responses=_DENIED)
    Someone = Annotated[Caller, Depends(needed)]

    @routes.get("/api/session", operation_id="get_session")
    async def get_session(caller: Someone) -> CurrentSession:
        """Who is calling, with which role."""
        csrf_token = caller.session.csrf_token if caller.session else None
        return CurrentSession(name=caller.name, role=caller.role.name, kind=caller.kind, csrf_token=csrf_token)

    @routes.delete(
        "/api/session",
        status_code=HTTPStatus.NO_CONTENT,
        responses=_CONFLICT | documented(HTTPStatus.UNPROCESSABLE_ENTITY),
        operation_id="end_session",
    )
    async def end_session(
        request: Request,
        response: Response,
        caller: Someone,
        everywhere: Annotated[bool, Query(description="true: in every browser")] = False,
    ) -> None:
        """Sign out."""
        await access.logins.sign_out(_session_of(caller), everywhere)
        access.forget(request, response)

    @routes.put(
        "/api/session/password",
        status_code=HTTPStatus.NO_CONTENT,
        responses=_WRONG | _CONFLICT | _LIMITED,
        operation_id="change_password",
    )
    async def change_password(request: Request, response: Response, wanted: PasswordChange, caller: Someone) -> None:
        """Change one's own password. Other browsers are signed out, this one gets a new session."""
        current, new = wanted.current.get_secret_value(), wanted.new.get_secret_value()
        session = await access.logins.change_password(caller, _session_of(caller), current, new)
        if not isinstance(session, Session):
            explain_refusal(session, password_field="new")
        relay.wake()
        access.keep(request, response, session)

    return routes


def _session_of(caller: Caller) -> Session:
    if caller.session is None:
        refuse(HTTPStatus.CONFLICT, "a token has no session and no password", type="urn:offers:problem:no-session")
    return caller.session


def _etag(user: AdminUser) -> str:
    return f'"{user.version}"'
