"""What the tests of dead letters share."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from aiokafka import ConsumerRecord

Bury: TypeAlias = Callable[..., Awaitable[None]]
"""Puts messages of `topups` into its dead-letter topic; see tests/integration/conftest.py."""


def values(records: Iterable[ConsumerRecord[bytes, bytes]]) -> Counter[bytes]:
    """How often each value was read."""
    return Counter(record.value or b"" for record in records)
