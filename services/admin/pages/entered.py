"""What people typed into a form's fields: the value meant, or what is wrong with it. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from services.admin.models import OfferMoment

T = TypeVar("T")
_MOMENT: TypeAdapter[datetime] = TypeAdapter(OfferMoment)


@dataclass(frozen=True, slots=True)
class Entered(Generic[T]):
    """A field's text, with its value or an error; neither where it was left empty."""

    text: str
    value: T | None = None
    error: str | None = None


def entered_id(text: str) -> Entered[UUID]:
    """An id such as 2f0cf9a5-0c5e-4a77-9f43-6d1f1a6f1d10."""
    return _entered(text, UUID, "This is not an id: 32 hexadecimal digits, like 2f0cf9a5-0c5e-4a77-9f43-6d1f1a6f1d10")


def entered_moment(text: str) -> Entered[datetime]:
    """A date with a time, in UTC unless it says otherwise, as the browser's own field sends it."""
    return _entered(text, _moment, "This is not a date and time, like 2026-11-24T08:30")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return _MOMENT.validate_python(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _entered(text: str, read: Callable[[str], T], error: str) -> Entered[T]:
    stripped = text.strip()
    if not stripped:
        return Entered("")
    try:
        return Entered(stripped, read(stripped))
    except (ValueError, ValidationError):
        return Entered(stripped, error=error)
