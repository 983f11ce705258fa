"""The people who may sign in: listed, added, changed, disabled."""

from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.admin import accounts
from services.admin.access_models import AdminUser, NewAdminUser, RoleName
from services.admin.access_refusals import explain_refusal, in_words
from services.admin.pages.access_forms import ROLES, Typed, wrong_fields
from services.admin.pages.rendering import Pages
from services.admin.passwords import LENGTH_MIN, generated_password
from shared.security import Caller, Role

_WORDS: Final = {
    "name": "1 to 64 letters, digits and . _ @ + - are possible, a letter or digit first.",
    "role": "Choose a role.",
}


def people_routes(pages: Pages) -> APIRouter:
    """What admins do about who may sign in."""
    routes = APIRouter(include_in_schema=False)
    Admin = Annotated[Caller, Depends(pages.access.caller(Role.admin))]
    passwords = pages.access.logins.passwords

    def new_form(request: Request, admin: Caller, status: HTTPStatus, **values: Any) -> HTMLResponse:
        known = {"name": "", "role": "editor", "errors": {}, "roles": ROLES, "length_min": LENGTH_MIN}
        return pages.render(request, admin, "access/person_new.html", status, **(known | values))

    async def person_page(
        request: Request, admin: Caller, user_id: UUID, status: HTTPStatus = HTTPStatus.OK, **values: Any
    ) -> HTMLResponse:
        person = await accounts.find_user(pages.pool, user_id)
        if person is None:
            explain_refusal(accounts.UserNotFound())
        own = admin.session is not None and admin.session.user_id == user_id
        known = {"person": person, "own": own, "errors": {}, "roles": ROLES, "length_min": LENGTH_MIN, "password": None}
        return pages.render(request, admin, "access/person.html", status, **(known | values))

    @routes.get("/access")
    async def first(_: Admin) -> RedirectResponse:
        return RedirectResponse("/access/people", HTTPStatus.SEE_OTHER)

    @routes.get("/access/people")
    async def list_people(request: Request, admin: Admin) -> HTMLResponse:
        people = await accounts.list_users(pages.pool)
        return pages.render(request, admin, "access/people.html", people=people)

    @routes.get("/access/people/new")
    async def new_person(request: Request, admin: Admin) -> HTMLResponse:
        return new_form(request, admin, HTTPStatus.OK)

    @routes.post("/access/people")
    async def add_person(
        request: Request, admin: Admin, name: Typed = "", role: Typed = "", password: Typed = ""
    ) -> Response:
        typed = {"name": name.strip(), "role": role}
        errors = wrong_fields(NewAdminUser, typed, _WORDS)
        made_up = None if password else generated_password()
        if not errors:
            wanted = NewAdminUser.model_validate(typed)
            async with pages.pool.acquire() as connection:
                outcome = await accounts.create_user(
                    connection, passwords, wanted.name, wanted.role, password or made_up or "", admin
                )
            if isinstance(outcome, AdminUser):
                pages.relay.wake()
                return await person_page(request, admin, outcome.id, HTTPStatus.CREATED, password=made_up)
            errors = dict([in_words(outcome)])
        return new_form(request, admin, HTTPStatus.UNPROCESSABLE_ENTITY, errors=errors, **typed)

    @routes.get("/access/people/{user_id}")
    async def show_person(request: Request, admin: Admin, user_id: UUID) -> HTMLResponse:
        return await person_page(request, admin, user_id)

    async def change(
        request: Request,
        admin: Caller,
        user_id: UUID,
        version: int,
        wanted: accounts.Change,
        made_up: str | None = None,
    ) -> Response:
        async with pages.pool.acquire() as connection:
            outcome = await accounts.change_user(connection, passwords, user_id, wanted, version, admin)
        if isinstance(outcome, accounts.UserNotFound):
            explain_refusal(outcome)
        if not isinstance(outcome, AdminUser):
            return await person_page(request, admin, user_id, HTTPStatus.CONFLICT, errors=dict([in_words(outcome)]))
        pages.relay.wake()
        if made_up is not None:
            return await person_page(request, admin, user_id, password=made_up)
        return RedirectResponse(f"/access/people/{user_id}", HTTPStatus.SEE_OTHER)

    Version = Annotated[int, Form(ge=1)]

    @routes.post("/access/people/{user_id}/role")
    async def set_role(
        request: Request, admin: Admin, user_id: UUID, version: Version, role: Annotated[RoleName, Form()]
    ) -> Response:
        return await change(request, admin, user_id, version, accounts.Change(role=role))

    @routes.post("/access/people/{user_id}/standing")
    async def set_standing(
        request: Request, admin: Admin, user_id: UUID, version: Version, disabled: Annotated[bool, Form()]
    ) -> Response:
        return await change(request, admin, user_id, version, accounts.Change(disabled=disabled))

    @routes.post("/access/people/{user_id}/password")
    async def set_password(
        request: Request, admin: Admin, user_id: UUID, version: Version, password: Typed = ""
    ) -> Response:
        made_up = None if password else generated_password()
        wanted = accounts.Change(password=password or made_up)
        return await change(request, admin, user_id, version, wanted, made_up)

    return routes
