"""Lists the dead letters of a topic, and sends them again.

What was sent is noted in the topic `dlq.replays` right afterwards, a chunk at a time; an interruption waits for
the chunk under way. A process killed between sending and noting, or two replays at the same moment, may send up
to CHUNK messages twice: every consumer drops what it has already.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.dead_letters.ledger import NOTHING, entries, is_replayed, load_replayed
from deploy.dead_letters.letters import DeadLetter, Wanted, letter
from deploy.dead_letters.reading import reading
from shared.broker import Publisher
from shared.errors import OffersError
from shared.settings import KafkaSettings
from shared.topics import CONSUMED, dead_letter_topic

EVERY = Wanted()
Progress = Callable[[int, int], None]
"""Told how many records of how many have been gone through."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The first dead letters of those asked for, and how many there are in all."""

    letters: Sequence[DeadLetter]
    total: int


async def list_dead_letters(
    settings: KafkaSettings,
    topic: str,
    wanted: Wanted = EVERY,
    *,
    replayed_too: bool = False,
    limit: int = 100,
    progress: Progress = lambda done, total: None,
) -> Listing:
    """The dead letters of a topic that wait to be replayed, or all that are kept, the earliest first.

    Raises:
        OffersError: if the topic, or the partition wanted of it, has no dead letters at all.
    """
    topic = _checked(topic)
    letters: list[DeadLetter] = []
    total = 0
    async with reading(settings, dead_letter_topic(topic), wanted.partition) as source:
        replayed = NOTHING if replayed_too else await load_replayed(settings, topic, source.spans)
        async for records in source.chunks():
            found = [each for each in map(letter, records) if wanted.includes(each) and not is_replayed(each, replayed)]
            total += len(found)
            letters = sorted([*letters, *found], key=_age)[:limit]
            progress(await source.progress(), source.total)
    return Listing(letters, total)


async def replay_dead_letters(
    settings: KafkaSettings, topic: str, wanted: Wanted = EVERY, *, progress: Progress = lambda done, total: None
) -> int:
    """Publish the waiting dead letters, or those wanted of them, to their topic again; returns how many.

    Those that die again meanwhile wait for the next replay, with their count of replays raised.

    Raises:
        OffersError: if the topic, or the partition wanted of it, has no dead letters at all.
        DeliveryError: if Kafka did not take a message; it and those after it still wait.
    """
    topic = _checked(topic)
    publisher = Publisher(settings, "dlq-replay")
    await publisher.start()
    try:
        async with reading(settings, dead_letter_topic(topic), wanted.partition) as source:
            replayed = await load_replayed(settings, topic, source.spans)
            count = 0
            async for records in source.chunks():
                letters = [letter(record) for record in records]
                waiting = [each for each in letters if wanted.includes(each) and not is_replayed(each, replayed)]
                if waiting:
                    await _to_its_end(_send(publisher, topic, waiting))
                count += len(waiting)
                progress(await source.progress(), source.total)
            return count
    finally:
        await publisher.stop()


async def _send(publisher: Publisher, topic: str, letters: Sequence[DeadLetter]) -> None:
    await publisher.publish_all(each.original(topic) for each in letters)
    await publisher.publish_all(entries(topic, letters))


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await the work, all of it even if cancelled meanwhile."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _checked(topic: str) -> str:
    name = topic.removesuffix(dead_letter_topic(""))
    if name not in CONSUMED:
        raise OffersError(f"{topic} has no dead letters; these topics may: {', '.join(CONSUMED)}")
    return name


def _age(letter: DeadLetter) -> tuple[int, int, int]:
    return letter.timestamp_ms, letter.partition, letter.offset
