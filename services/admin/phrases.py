"""Numbers, amounts, times and names as people read them. Pure."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

_DIGITS_MAX: Final = 30
"""Longer numbers are not for people; written out, one of a few characters could fill the memory."""


def moment_text(moment: datetime) -> str:
    """A point in time for people: "24 Nov 2026, 12:00 UTC"; seconds only where there are some."""
    utc = moment.astimezone(UTC)
    clock = f"{utc:%H:%M:%S}" if utc.second else f"{utc:%H:%M}"
    return f"{utc.day} {utc:%b %Y}, {clock} UTC"


def money_text(amount: object) -> str:
    """An amount with two decimal places and thousands separated; what is no amount as it is."""
    number = _number(amount)
    return _as_it_is(amount) if number is None else f"{number:,.2f}"


def counted(number: object, noun: str) -> str:
    """A number of things: "1 day", "2 days", "1,000 days"."""
    text = plain_text(number)
    return f"{text} {noun}{'' if text == '1' else 's'}"


def listed(parts: Iterable[str], word: str) -> str:
    """A list in a sentence: "a, b and c"."""
    *first, last = parts
    return f"{', '.join(first)} {word} {last}" if first else last


def humanised(name: str) -> str:
    """A program's name as words: "per_user_limit" → "Per user limit"."""
    words = name.replace("_", " ").replace(".", " ").strip()
    return words[:1].upper() + words[1:]


def plain_text(value: object) -> str:
    """A number with thousands separated and no zeros at its end, yes or no, or text as it is."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    number = _number(value)
    if number is None:
        return _as_it_is(value)
    text = f"{number:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except (InvalidOperation, ValueError):
        return None
    short = number.is_finite() and -_DIGITS_MAX < number.adjusted() < _DIGITS_MAX
    return number if short and len(number.as_tuple().digits) <= _DIGITS_MAX else None


def _as_it_is(value: object) -> str:
    return listed(map(plain_text, value), "and") if isinstance(value, list | tuple) and value else str(value)
