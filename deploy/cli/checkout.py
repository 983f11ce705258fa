"""`offers redeem`, `quote` and `revoke`: what a checkout does, by hand.

Exit code 0: accepted; 1: rejected; 2: no decision.
"""

import asyncio
from typing import Annotated
from uuid import UUID, uuid4

import typer

from deploy.cli.options import (
    Json,
    Mapping,
    Offer,
    Price,
    Product,
    Quantity,
    RequestId,
    Timeout,
    User,
    id_or_code,
)
from deploy.cli.rendering import show_reply
from shared.client import RedemptionClient
from shared.events.redemption_replies import RedemptionReply
from shared.events.redemption_requests import QuoteRequest, RevokeRequest
from shared.settings import KafkaSettings, load_settings


def redeem(
    offer: Offer,
    user: User,
    price: Price,
    quantity: Quantity = 1,
    product: Product = None,
    mapping: Mapping = None,
    request_id: RequestId = None,
    timeout: Timeout = 10.0,
    json_output: Json = False,
) -> None:
    """Use an offer on a purchase."""
    offer_id, code = id_or_code(offer)

    async def call() -> RedemptionReply:
        async with RedemptionClient(load_settings(KafkaSettings)) as client:
            return await client.redeem(
                user,
                price,
                offer_id=offer_id,
                code=code,
                quantity=quantity,
                operator_product_id=product,
                supplier_product_mapping_id=mapping,
                request_id=request_id,
                timeout_s=timeout,
            )

    _finish(asyncio.run(call()), json_output)


def quote(
    user: User,
    price: Price,
    offer: Annotated[
        str | None, typer.Option(help="Only this offer's id or code.", show_default="all the user can use")
    ] = None,
    quantity: Quantity = 1,
    product: Product = None,
    mapping: Mapping = None,
    timeout: Timeout = 10.0,
    json_output: Json = False,
) -> None:
    """Ask what an offer would save, using nothing up; or which offers a user could use."""
    offer_id, code = id_or_code(offer) if offer is not None else (None, None)
    request = QuoteRequest(
        command="quote",
        request_id=uuid4(),
        offer_id=offer_id,
        code=code,
        user_id=user,
        operator_product_id=product,
        supplier_product_mapping_id=mapping,
        quantity=quantity,
        unit_price=price,
    )
    _finish(asyncio.run(_send(request, timeout)), json_output)


def revoke(
    redemption: Annotated[UUID, typer.Argument(help="The redemption's id.", show_default=False)],
    by_request: Annotated[
        bool, typer.Option("--by-request", help="The id given is that of the request that redeemed.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the audit trail.", show_default=False)] = None,
    request_id: RequestId = None,
    timeout: Timeout = 10.0,
    json_output: Json = False,
) -> None:
    """Cancel a redemption; the offer may be used again."""
    request = RevokeRequest(
        command="revoke",
        request_id=request_id or uuid4(),
        redemption_id=None if by_request else redemption,
        redeem_request_id=redemption if by_request else None,
        reason=reason,
    )
    _finish(asyncio.run(_send(request, timeout)), json_output)


async def _send(request: QuoteRequest | RevokeRequest, timeout_s: float) -> RedemptionReply:
    async with RedemptionClient(load_settings(KafkaSettings)) as client:
        return await client.send(request, timeout_s)


def _finish(reply: RedemptionReply, json_output: bool) -> None:
    if json_output:
        typer.echo(reply.model_dump_json())
    else:
        show_reply(reply)
    raise typer.Exit(0 if reply.status == "accepted" else 1)
