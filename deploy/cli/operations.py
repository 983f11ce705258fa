"""`offers migrate`, `topics` and `run`: one piece at a time, as containers run it."""

import asyncio
from enum import StrEnum
from importlib import import_module
from typing import Annotated

import typer

from deploy.cli.rendering import console
from shared.service import run_service
from shared.settings import DatabaseSettings, KafkaSettings, load_settings


class ServiceName(StrEnum):
    """The services by name."""

    redemption = "redemption"
    segmenter = "segmenter"
    audit = "audit"
    admin = "admin"


def migrate() -> None:
    """Bring the database to the newest revision; does nothing where it is there already."""
    from migrations.revisions import revisions, upgrade

    upgrade(load_settings(DatabaseSettings).database_url)
    console.print(f"the database is at revision {revisions()[-1]}")


def topics() -> None:
    """Create the topics that don't exist yet."""
    from shared.topics import create_topics

    created = asyncio.run(create_topics(load_settings(KafkaSettings)))
    for name in created:
        console.print(f"created {name}")
    console.print(f"{len(created)} topics created" if created else "every topic exists")


def run(service: Annotated[ServiceName, typer.Argument(help="Which one.", show_default=False)]) -> None:
    """Run one service in the foreground, logging JSON lines to standard error, until SIGTERM or Ctrl-C."""
    run_service(service.value, import_module(f"services.{service.value}.app").serve)
