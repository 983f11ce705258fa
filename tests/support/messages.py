"""Messages as a handler receives them, without a broker."""

from collections.abc import Sequence
from typing import TypeVar

from aiokafka import ConsumerRecord

from shared.batches import Received

M = TypeVar("M")


def received(messages: Sequence[M]) -> list[Received[M]]:
    """A batch of one partition."""
    return [
        Received(message, ConsumerRecord("topic", 0, offset, 0, 0, None, b"", None, 0, 0, ()))
        for offset, message in enumerate(messages)
    ]
