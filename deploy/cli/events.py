"""`offers topup` and `offers user`: what upstream services publish, by hand."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID, uuid4

import typer

from deploy.cli.options import Amount, Json, User
from deploy.cli.rendering import console
from shared.client import EventPublisher
from shared.clock import utc_now
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.settings import KafkaSettings, load_settings

At = Annotated[
    datetime | None,
    typer.Option(help="When, in UTC.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], show_default="now"),
]


def topup(
    user: User,
    amount: Amount,
    operator: Annotated[UUID, typer.Option(help="The operator's id.", show_default=False)],
    kind: Annotated[Literal["topup", "purchase"], typer.Option(help="purchase: any other paid transaction.")] = "topup",
    status: Annotated[
        Literal["succeeded", "failed", "reversed"], typer.Option(help="What became of it.")
    ] = "succeeded",
    topup_id: Annotated[
        UUID | None, typer.Option(help="Name one published before to change it.", show_default="a new one")
    ] = None,
    at: At = None,
    json_output: Json = False,
) -> None:
    """Publish a topup or another paid transaction of a user."""
    types = {"succeeded": "topup.succeeded", "failed": "topup.failed", "reversed": "topup.reversed"}
    event = TopupEvent.model_validate(
        {
            "event_id": uuid4(),
            "type": types[status],
            "topup_id": topup_id or uuid4(),
            "user_id": user,
            "operator_id": operator,
            "kind": kind,
            "amount": amount,
            "occurred_at": _moment(at),
        }
    )
    asyncio.run(_publish(event))
    text = f"{kind} {event.topup_id} of {amount:.2f} {status}: published"
    typer.echo(event.model_dump_json()) if json_output else console.print(text)


def user(
    user: User,
    role: Annotated[
        list[str] | None, typer.Option(help="A role the user holds; repeat for more.", show_default=False)
    ] = None,
    registered_at: At = None,
    json_output: Json = False,
) -> None:
    """Publish a user's registration, or the newest state of one."""
    event = UserEvent(
        event_id=uuid4(),
        type="user.updated" if registered_at else "user.registered",
        user_id=user,
        registered_at=_moment(registered_at),
        roles=role or [],
        occurred_at=utc_now(),
    )
    asyncio.run(_publish(event))
    typer.echo(event.model_dump_json()) if json_output else console.print(f"user {user}: published")


def _moment(at: datetime | None) -> datetime:
    return utc_now() if at is None else at.replace(tzinfo=UTC)


async def _publish(event: TopupEvent | UserEvent) -> None:
    async with EventPublisher(load_settings(KafkaSettings), "cli") as publisher:
        match event:
            case TopupEvent():
                await publisher.topup(event)
            case UserEvent():
                await publisher.user(event)
