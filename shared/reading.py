"""From what FastStream fetches to a batch: each message is read by itself, so that one can't spoil the others."""

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from faststream.kafka import KafkaMessage
from pydantic import TypeAdapter

from shared.batches import Batch, Received, Unreadable, error_text
from shared.tracing import follow

M = TypeVar("M")

Read = Callable[[bytes], M]
"""Reads one message's value; raises ValueError (pydantic's ValidationError is one) if it can't."""


def read_json(adapter: TypeAdapter[M]) -> Read[M]:
    """Reads values as JSON of the adapter's type."""
    return adapter.validate_json


def read_batch(message: KafkaMessage, read: Read[M], span_name: str) -> Batch[M]:
    """What was fetched, as far as it can be read; those whose senders trace them with a span of this name."""
    received: list[Received[M]] = []
    unreadable: list[Unreadable] = []
    records: Sequence[ConsumerRecord[Any, Any]] = message.raw_message
    for record in records:
        try:
            content = read(record.value or b"")
        except Exception as error:  # Whatever reading raises, it is this message's fault alone.
            unreadable.append(Unreadable(record, error_text(error)))
        else:
            span = follow(record.headers, span_name, content) if record.headers else None
            received.append(Received(content, record, span))
    return Batch(received, unreadable, records, cast("AIOKafkaConsumer", message.consumer))


async def parse(records: Any, original: Callable[[Any], Awaitable[KafkaMessage]]) -> KafkaMessage:
    """FastStream's own parsing, which headers that are null or not UTF-8 must not break."""
    try:
        return await original(records)
    except (UnicodeDecodeError, AttributeError):
        message = await original(tuple(dataclasses.replace(record, headers=()) for record in records))
        message.raw_message = records
        return message
