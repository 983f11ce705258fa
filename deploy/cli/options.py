"""Arguments and options that several commands share."""

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer


class RoleName(StrEnum):
    """The roles of people and tokens, each with what the ones before it may do."""

    viewer = "viewer"
    editor = "editor"
    admin = "admin"


def amount(text: str) -> Decimal:
    """An amount of money.

    Raises:
        typer.BadParameter: it is no number.
    """
    try:
        parsed = Decimal(text)
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is not an amount such as 50.00") from None
    if not parsed.is_finite():
        raise typer.BadParameter(f"{text!r} is not an amount such as 50.00")
    return parsed


def id_or_code(offer: str) -> tuple[UUID | None, str | None]:
    """What a person wrote for an offer, as its id or as its code."""
    try:
        return UUID(offer), None
    except ValueError:
        return None, offer


Offer = Annotated[str, typer.Argument(help="The offer's id or code.", metavar="OFFER", show_default=False)]
User = Annotated[UUID, typer.Argument(help="The user's id.", metavar="USER", show_default=False)]
Price = Annotated[
    Decimal,
    typer.Argument(help="Unit price, such as 50.00.", parser=amount, metavar="PRICE", show_default=False),
]
Amount = Annotated[
    Decimal,
    typer.Argument(help="Amount, such as 50.00.", parser=amount, metavar="AMOUNT", show_default=False),
]
Quantity = Annotated[int, typer.Option(help="How many are bought.", min=1)]
Product = Annotated[UUID | None, typer.Option(help="operator_product_id of the purchase.", show_default=False)]
Mapping = Annotated[UUID | None, typer.Option(help="supplier_product_mapping_id of the purchase.", show_default=False)]
RequestId = Annotated[
    UUID | None, typer.Option(help="Idempotency key; the same one again gets the same reply.", show_default=False)
]
Timeout = Annotated[float, typer.Option(help="Seconds to wait for the reply.", min=0.1, max=600)]
Json = Annotated[bool, typer.Option("--json", help="Print the raw JSON.")]
