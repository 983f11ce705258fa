"""`offers admin`: who may sign in to the admin page. Needs the database alone, so that it makes the first user too."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.operator import chosen_password, operator
from deploy.cli.options import Json, RoleName
from deploy.cli.rendering import console, moment
from deploy.cli.tokens import connected
from shared.database import Connection
from shared.errors import OffersError

if TYPE_CHECKING:
    from services.admin.access_models import AdminUser
    from services.admin.access_refusals import AccessRefusal
    from services.admin.accounts import Change

app = typer.Typer(
    name="admin", help="Who may sign in to the admin page.", no_args_is_help=True, pretty_exceptions_enable=False
)
Name = Annotated[str, typer.Argument(help="The user's name.", metavar="NAME", show_default=False)]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking for it.")
]


@app.command()
def create(
    name: Name,
    role: Annotated[RoleName, typer.Option(help="What they may do.")] = RoleName.admin,
    password_stdin: FromStdin = False,
    json_output: Json = False,
) -> None:
    """Let somebody sign in. A password that is not given is made up and printed, this once."""
    given = chosen_password(password_stdin)
    user, made_up = asyncio.run(_create(name, role, given))
    if json_output:
        typer.echo(orjson.dumps(user.model_dump(mode="json") | {"password": made_up}))
        return
    console.print(f"{user.name} may sign in as {user.role}")
    _tell(made_up)


async def _create(name: str, role: RoleName, given: str | None) -> "tuple[AdminUser, str | None]":
    from services.admin.access_models import AdminUser, NewAdminUser
    from services.admin.accounts import create_user
    from services.admin.passwords import Passwords, generated_password

    wanted = NewAdminUser(name=name, role=role.value)
    made_up = None if given else generated_password()
    created = await connected(
        lambda connection: create_user(
            connection, Passwords(), wanted.name, wanted.role, given or made_up or "", operator()
        )
    )
    if not isinstance(created, AdminUser):
        raise _refused(created)
    return created, made_up


@app.command("list")
def list_(json_output: Json = False) -> None:
    """Everybody who may sign in, and who may no more."""
    from services.admin.accounts import list_users

    users = asyncio.run(connected(lambda connection: list_users(connection)))
    if json_output:
        typer.echo(orjson.dumps([user.model_dump(mode="json") for user in users]))
        return
    table = Table("name", "role", "status", "added", "password set", box=None, header_style="dim")
    for user in users:
        status = Text("disabled", style="red") if user.disabled_at else Text("may sign in", style="green")
        table.add_row(user.name, user.role, status, moment(user.created_at), moment(user.password_changed_at))
    console.print(table if users else "nobody can sign in: offers admin create NAME")


@app.command()
def disable(name: Name, json_output: Json = False) -> None:
    """Let somebody sign in no more, and end their sessions."""
    from services.admin.accounts import Change

    _show(asyncio.run(_change(name, Change(disabled=True))), "can't sign in any more", json_output)


@app.command()
def enable(name: Name, json_output: Json = False) -> None:
    """Let somebody sign in again, with the password they had."""
    from services.admin.accounts import Change

    _show(asyncio.run(_change(name, Change(disabled=False))), "may sign in", json_output)


@app.command()
def password(name: Name, password_stdin: FromStdin = False, json_output: Json = False) -> None:
    """Set somebody's password, and end their sessions. One that is not given is made up and printed, this once."""
    from services.admin.accounts import Change
    from services.admin.passwords import generated_password

    given = chosen_password(password_stdin)
    made_up = None if given else generated_password()
    user = asyncio.run(_change(name, Change(password=given or made_up)))
    _show(user, "has a new password", json_output, made_up)


async def _change(name: str, change: "Change") -> "AdminUser":
    from services.admin.access_models import AdminUser
    from services.admin.accounts import UserNotFound, change_user, find_user_named
    from services.admin.passwords import Passwords

    async def changed(connection: Connection) -> AdminUser:
        user = await find_user_named(connection, name)
        if user is None:
            raise _refused(UserNotFound())
        outcome = await change_user(connection, Passwords(), user.id, change, None, operator())
        if not isinstance(outcome, AdminUser):
            raise _refused(outcome)
        return outcome

    return await connected(changed)


def _refused(refusal: "AccessRefusal") -> OffersError:
    from services.admin.access_refusals import in_words

    return OffersError(in_words(refusal)[1])


def _show(user: "AdminUser", words: str, json_output: bool, made_up: str | None = None) -> None:
    if json_output:
        typer.echo(orjson.dumps(user.model_dump(mode="json") | ({"password": made_up} if made_up else {})))
        return
    console.print(f"{user.name} {words}")
    _tell(made_up)


def _tell(made_up: str | None) -> None:
    if made_up is not None:
        console.print(f"password: {made_up}", soft_wrap=True)
