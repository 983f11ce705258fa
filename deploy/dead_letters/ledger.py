"""What was replayed, as the topic `dlq.replays` keeps it: ranges of offsets of a dead-letter topic.

A filtered replay leaves gaps, so no consumer group's offset could say it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pydantic import BaseModel, ValidationError

from deploy.dead_letters.letters import DeadLetter
from deploy.dead_letters.reading import Span, reading
from shared.broker import Outgoing
from shared.settings import KafkaSettings
from shared.topics import DEAD_LETTER_REPLAYS


class Entry(BaseModel):
    """Letters of one partition that were sent again; `ranges` are first and last offsets.

    Only letters up to `latest_timestamp_ms` are meant: a topic that was deleted and created anew counts from 0 again.
    """

    topic: str
    partition: int
    ranges: list[tuple[int, int]]
    latest_timestamp_ms: int


Replayed = Mapping[tuple[int, int], int]
"""The timestamps up to which letters were replayed, by partition and offset."""

NOTHING: Final[Replayed] = {}


def entries(topic: str, letters: Sequence[DeadLetter]) -> Iterator[Outgoing]:
    """What to note of letters that were sent again, one message a partition."""
    for partition in sorted({letter.partition for letter in letters}):
        mine = [letter for letter in letters if letter.partition == partition]
        entry = Entry(
            topic=topic,
            partition=partition,
            ranges=_ranges(sorted(letter.offset for letter in mine)),
            latest_timestamp_ms=max(letter.timestamp_ms for letter in mine),
        )
        yield Outgoing(DEAD_LETTER_REPLAYS, f"{topic}/{partition}".encode(), entry.model_dump_json().encode())


def is_replayed(letter: DeadLetter, replayed: Replayed) -> bool:
    """Whether the letter was sent again."""
    return letter.timestamp_ms <= replayed.get((letter.partition, letter.offset), -1)


async def load_replayed(settings: KafkaSettings, topic: str, spans: Mapping[int, Span]) -> Replayed:
    """What was replayed of these spans of a topic's dead letters."""
    replayed: dict[tuple[int, int], int] = {}
    async with reading(settings, DEAD_LETTER_REPLAYS) as ledger:
        async for records in ledger.chunks():
            for entry in filter(None, (_entry(record.value) for record in records)):
                if entry.topic == topic and entry.partition in spans:
                    _add(replayed, entry, spans[entry.partition])
    return replayed


def _add(replayed: dict[tuple[int, int], int], entry: Entry, span: Span) -> None:
    for first, last in entry.ranges:
        for offset in range(max(first, span.start), min(last + 1, span.end)):
            place = (entry.partition, offset)
            replayed[place] = max(replayed.get(place, -1), entry.latest_timestamp_ms)


def _entry(value: bytes | None) -> Entry | None:
    try:
        return Entry.model_validate_json(value or b"")
    except ValidationError:  # Nobody but this module writes here; what it didn't write says nothing.
        return None


def _ranges(offsets: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending offsets as runs of consecutive ones."""
    runs: list[tuple[int, int]] = []
    for offset in offsets:
        if runs and offset == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], offset)
        else:
            runs.append((offset, offset))
    return runs
