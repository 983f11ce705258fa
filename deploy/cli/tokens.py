"""`offers token`: the tokens by which programs call the admin and audit APIs. Needs the database alone."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import orjson
import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.operator import operator
from deploy.cli.options import Json, RoleName
from deploy.cli.rendering import console, moment
from shared.database import Connection, connect
from shared.errors import OffersError
from shared.settings import DatabaseSettings, load_settings

if TYPE_CHECKING:
    from services.admin.access_models import CreatedToken, Token

T = TypeVar("T")

app = typer.Typer(
    name="token",
    help="The tokens by which programs call the APIs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What will use it.", metavar="NAME", show_default=False)],
    role: Annotated[RoleName, typer.Option(help="What it may do.")] = RoleName.viewer,
    json_output: Json = False,
) -> None:
    """Make a token and print it, this once: only its hash is kept."""
    made = asyncio.run(_make(name, role))
    typer.echo(orjson.dumps(made.model_dump(mode="json")) if json_output else made.token)


async def _make(name: str, role: RoleName) -> "CreatedToken":
    from services.admin.access_models import NewToken
    from services.admin.tokens import make_token

    wanted = NewToken(name=name, role=role.value)
    return await connected(lambda connection: make_token(connection, wanted.name, wanted.role, operator()))


@app.command("list")
def list_(json_output: Json = False) -> None:
    """Every token, valid ones first."""
    from services.admin.tokens import list_tokens

    tokens = asyncio.run(connected(list_tokens))
    if json_output:
        typer.echo(orjson.dumps([token.model_dump(mode="json") for token in tokens]))
        return
    table = Table("id", "used by", "role", "status", "made", "last used", box=None, header_style="dim")
    for token in tokens:
        status = Text("revoked", style="red") if token.revoked_at else Text("valid", style="green")
        used = moment(token.last_used_at) if token.last_used_at else "never"
        table.add_row(str(token.id), token.name, token.role, status, moment(token.created_at), used)
    console.print(table if tokens else "there is no token: offers token create NAME")


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(help="The token's id, or its name.", metavar="TOKEN", show_default=False)],
    json_output: Json = False,
) -> None:
    """Refuse a token from now on."""
    revoked = asyncio.run(connected(lambda connection: _revoke(connection, token)))
    if json_output:
        typer.echo(orjson.dumps(revoked.model_dump(mode="json")))
    else:
        console.print(f"{revoked.name} ({revoked.id}) is revoked")


async def _revoke(connection: Connection, token: str) -> "Token":
    from services.admin.tokens import list_tokens, revoke_token

    meant = _meant(await list_tokens(connection), token)
    revoked = await revoke_token(connection, meant, operator())
    assert revoked is not None, "tokens are never deleted"
    return revoked


def _meant(tokens: "list[Token]", text: str) -> UUID:
    found = [token.id for token in tokens if text == str(token.id)]
    found = found or [token.id for token in tokens if token.name == text and token.revoked_at is None]
    if not found:
        raise OffersError(f"no valid token has the id or name {text}")
    if len(found) > 1:
        raise OffersError(f"{len(found)} tokens have the name {text}: give the id of one, see offers token list")
    return found[0]


async def connected(work: Callable[[Connection], Awaitable[T]]) -> T:
    """What some work with a connection of its own gives."""
    connection = await connect(load_settings(DatabaseSettings))
    try:
        return await work(connection)
    finally:
        await connection.close()
