"""A dead letter, what is known of its death, and which of them somebody wants. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.batches import KafkaRecord
from shared.broker import Outgoing
from shared.clock import from_us

_ABOUT: Final = "dlq."
_REPLAYS: Final = "replays"
_DIGITS_MAX: Final = 9


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record of a dead-letter topic; partition and offset are its own there."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    def about(self, name: str) -> str:
        """What is known of its death: topic, partition, offset, service or error; empty if unknown."""
        texts = [value for header, value in self.headers if header == _ABOUT + name]
        return texts[-1].decode(errors="replace") if texts else ""

    @property
    def replays(self) -> int:
        """How often it was sent again before it died this time."""
        text = self.about(_REPLAYS)
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX else 0

    @property
    def died_at(self) -> datetime:
        """When it was dead-lettered."""
        return from_us(self.timestamp_ms * 1000)

    def original(self, topic: str) -> Outgoing:
        """The message as it first came, and how often it has been sent again by now.

        Should it die again, its next letter keeps that count with the other headers.
        """
        headers = [header for header in self.headers if not header[0].startswith(_ABOUT)]
        headers.append((_ABOUT + _REPLAYS, str(self.replays + 1).encode()))
        # The client library refuses a record with neither key nor value; readers take an empty value for none.
        value = b"" if self.key is None and self.value is None else self.value
        return Outgoing(topic, self.key, value, headers)


def letter(record: KafkaRecord) -> DeadLetter:
    """The record of a dead-letter topic as a letter."""
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters: those that meet everything given here.

    `partition` is that of the dead-letter topic, `error` any part of the error in any case, `since` inclusive and
    `until` exclusive.
    """

    partition: int | None = None
    service: str | None = None
    error: str | None = None
    key: bytes | None = None
    since: datetime | None = None
    until: datetime | None = None

    def includes(self, letter: DeadLetter) -> bool:
        """Whether the letter is one of them."""
        return (
            self.partition in (None, letter.partition)
            and self.service in (None, letter.about("service"))
            and (self.error is None or self.error.casefold() in letter.about("error").casefold())
            and self.key in (None, letter.key)
            and (self.since is None or letter.died_at >= self.since)
            and (self.until is None or letter.died_at < self.until)
        )
