"""Field types the messages share: money, times and plain text, as the contract writes them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)


def _in_utc(moment: datetime) -> datetime:
    # PostgreSQL's driver takes the ends of Python's calendar for infinity, and offsets overflow there.
    if not 1900 <= moment.year < 9000:
        raise ValueError("the year must be between 1900 and 8999")
    return moment.astimezone(UTC)


def rfc3339(moment: datetime) -> str:
    """A timezone-aware time as the contract writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


Money = Annotated[
    Decimal,
    Field(ge=0, max_digits=12, decimal_places=2),
    AfterValidator(abs),  # Of what is not below zero, only minus zero changes.
    PlainSerializer(lambda amount: f"{amount:.2f}", return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,10}(\.\d{1,2})?$", "examples": ["50.00"]}),
]
"""A non-negative amount with two decimal places; a decimal string on the wire."""

Moment = Annotated[
    AwareDatetime,
    AfterValidator(_in_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-24T08:30:00Z"]}),
]
"""A point in time, RFC 3339 in UTC on the wire."""

Text = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
"""Text that PostgreSQL can store."""

Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00\s]([^\x00]*[^\x00\s])?$")]
"""An offer's code, as marketing prints it."""


class Message(BaseModel):
    """What every message has in common: unknown fields are ignored, values don't change."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_bytes(self) -> bytes:
        """The message as it goes over the wire."""
        return self.model_dump_json().encode()
