"""The identifiers by which people look for a message in logs and traces."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

NAMES: Final = ("request_id", "topup_id", "event_id")
NAMED_MAX: Final = 5
"""A line about a batch names so many of its messages: enough to find it again."""
LENGTH_MAX: Final = 64


def identifiers_of(message: object) -> dict[str, str]:
    """Those a message has."""
    found = {name: getattr(message, name, None) for name in NAMES}
    return {name: str(value) for name, value in found.items() if value is not None}


def identifiers_in(value: bytes | None) -> dict[str, str]:
    """Those that can be made out in a message that is no valid one."""
    try:
        content: Any = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(content, dict):
        return {}
    found = {name: content.get(name) for name in NAMES}
    return {name: text[:LENGTH_MAX] for name, text in found.items() if isinstance(text, str)}


def first_identifiers(messages: Sequence[object]) -> list[dict[str, str]]:
    """Those of a batch's first messages."""
    return [identifiers_of(message) for message in messages[:NAMED_MAX]]
