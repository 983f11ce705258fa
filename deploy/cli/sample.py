"""`offers sample`: the sample campaign played against a system that runs already, wherever it runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import typer
from pydantic import Field, SecretStr

from deploy.cli.operator import operator
from deploy.cli.rendering import console
from shared.database import connect
from shared.settings import DatabaseSettings, KafkaSettings, load_settings


class SampleSettings(DatabaseSettings, KafkaSettings):
    """What `offers sample` reads from the environment; the database's URL is its owner's."""

    admin_url: str = Field(pattern=r"^https?://", description="where the admin service answers")
    admin_token: SecretStr | None = Field(
        default=None, description="an editor's token for it; without one, the sample makes one while it plays"
    )


def sample() -> None:
    """Play the sample campaign against a running system: invented offers, users, topups and checkouts.

    Shows what came of it; exit 1 unless all of it is as it should be. A database takes it once.
    """
    if not asyncio.run(_play(load_settings(SampleSettings))):
        raise typer.Exit(1)


async def _play(settings: SampleSettings) -> bool:
    from deploy.sample.play import play
    from deploy.sample.system import System

    async with _token(settings) as token:
        return await play(System(settings.database_url, settings, settings.admin_url.rstrip("/"), token), console)


@asynccontextmanager
async def _token(settings: SampleSettings) -> AsyncIterator[str]:
    """The token that was given; or one that is revoked afterwards."""
    from services.admin.tokens import make_token, revoke_token

    if settings.admin_token is not None:
        yield settings.admin_token.get_secret_value()
        return
    connection = await connect(settings)
    try:
        made = await make_token(connection, "sample", "editor", operator())
        try:
            yield made.token
        finally:
            await revoke_token(connection, made.id, operator())
    finally:
        await connection.close()
