"""`offers logins`: the services' own logins to the database, kept where only the services read them."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.operations import ServiceName
from deploy.cli.rendering import console
from deploy.logins import FILE, keep_logins
from shared.database import connect
from shared.settings import DatabaseSettings, load_settings


def logins(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Keeps FOLDER/SERVICE/" + FILE + " for each service.", metavar="FOLDER", show_default=False
        ),
    ],
    renew: Annotated[bool, typer.Option("--renew", help="New passwords; restart the services afterwards.")] = False,
) -> None:
    """Make a database login for each service, with its service's rights only; one that works is left alone.

    A service reads the URL from the file if OFFERS_SECRETS_DIR names the file's folder. The database must be migrated,
    and OFFERS_DATABASE_URL be its owner's.
    """
    made = asyncio.run(_keep(folder, renew))
    for service, new in made.items():
        console.print(f"{service}: {'a new password' if new else 'its login works'}")


async def _keep(folder: Path, renew: bool) -> dict[str, bool]:
    settings = load_settings(DatabaseSettings)
    connection = await connect(settings)
    try:
        services = [service.value for service in ServiceName]
        return await keep_logins(connection, settings.database_url, folder, services, renew=renew)
    finally:
        await connection.close()
