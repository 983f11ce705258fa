"""`offers acls`: Kafka's access list, added to the cluster or printed for its own tools."""

import asyncio
import json
from enum import StrEnum
from typing import Annotated

import typer

from deploy.cli.rendering import console
from deploy.kafka.acls import LOGINS, as_json, entries, kafka_acls_line
from shared.settings import KafkaSettings, load_settings


class Form(StrEnum):
    """How to print the list."""

    kafka_acls = "kafka-acls"
    json = "json"


def acls(
    print_: Annotated[
        Form | None,
        typer.Option("--print", help="Print the list, and change nothing: calls of kafka-acls.sh, or JSON."),
    ] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option(
            help="What a login is called on the cluster, as NAME=PRINCIPAL; User:NAME unless given.",
            metavar="NAME=PRINCIPAL",
            show_default=False,
        ),
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="Put before every topic and group.", envvar="OFFERS_KAFKA_TOPIC_PREFIX")
    ] = "",
) -> None:
    """Let each login do on Kafka what it is for, and nothing else; needs a login that may alter the cluster."""
    wanted = entries(prefix, dict(map(_named, principal or [])))
    if print_ is Form.json:
        typer.echo(json.dumps([as_json(entry) for entry in wanted], indent=2))
    elif print_ is Form.kafka_acls:
        for entry in wanted:
            typer.echo(kafka_acls_line(entry))
    else:
        from deploy.kafka.applying import add_entries

        asyncio.run(add_entries(load_settings(KafkaSettings), wanted))
        console.print(f"{len(wanted)} entries for {len(LOGINS)} logins are on the access list")


def _named(text: str) -> tuple[str, str]:
    name, _, principal = text.partition("=")
    if name not in {login.name for login in LOGINS} or ":" not in principal:
        known = ", ".join(login.name for login in LOGINS)
        raise typer.BadParameter(f"{text!r} is not NAME=TYPE:NAME, with NAME one of {known}")
    return name, principal
