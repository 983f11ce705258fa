"""Dead letters over real Kafka: what waits, what is sent again, and that nothing is sent twice."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner, Result

from deploy.cli.dead_letters import app
from deploy.dead_letters import list_dead_letters, replay_dead_letters
from shared.batches import dead_letter
from shared.broker import Headers, Publisher
from shared.errors import DeliveryError, OffersError
from shared.settings import KafkaSettings
from shared.topics import AUDIT_EVENTS, TOPUPS
from tests.support.topics import reading

Bury = Callable[..., Awaitable[None]]
Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def bury(kafka: KafkaSettings, publisher: Publisher) -> Bury:
    """Puts messages of `topups` into its dead-letter topic, as the segmenter would."""

    async def bury_(*values: bytes | None, key: bytes | None = b"user", headers: Headers = ()) -> None:
        topic = kafka.kafka_topic_prefix + TOPUPS
        records = [
            ConsumerRecord(topic, 2, 70 + place, 0, 0, key, value, None, 0, 0, tuple(headers))
            for place, value in enumerate(values)
        ]
        await publisher.publish_all(
            dead_letter(record, "amount: [red] is wrong", "segmenter", kafka.kafka_topic_prefix) for record in records
        )

    return bury_


@pytest.fixture
def run(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `offers dlq …` with the test's Kafka."""
    for name, value in kafka.model_dump(exclude_none=True).items():
        monkeypatch.setenv(f"OFFERS_{name.upper()}", str(value))
    monkeypatch.setenv("COLUMNS", "200")

    async def run_(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return run_


async def test_a_dead_letter_says_what_happened(kafka: KafkaSettings, bury: Bury) -> None:
    await bury(b"{}", headers=[("correlation_id", b"\xff")])
    (letter,) = (await list_dead_letters(kafka, TOPUPS)).letters
    assert (letter.key, letter.value, letter.headers[0]) == (b"user", b"{}", ("correlation_id", b"\xff"))
    about = {name: letter.about(name) for name in ("topic", "partition", "offset", "service", "error", "other")}
    assert about == {
        "topic": kafka.kafka_topic_prefix + "topups",
        "partition": "2",
        "offset": "70",
        "service": "segmenter",
        "error": "amount: [red] is wrong",
        "other": "",
    }


async def test_a_replay_sends_the_original_messages_again_once(kafka: KafkaSettings, bury: Bury) -> None:
    headers = [("correlation_id", b"\xff\x00"), ("correlation_id", b"twice")]
    await bury(b"one", b"two", headers=headers)
    await bury(None, key=b"tombstone")
    await bury(b"keyless", key=None)
    async with reading(kafka, TOPUPS) as topups:
        assert await replay_dead_letters(kafka, TOPUPS) == 4
        records = await topups.read(4)
        assert await replay_dead_letters(kafka, TOPUPS) == 0
        assert len(await topups.read_quiet()) == 4
    sent = {(record.key, record.value, tuple(record.headers)) for record in records}
    assert sent == {
        (b"user", b"one", tuple(headers)),
        (b"user", b"two", tuple(headers)),
        (b"tombstone", None, ()),
        (None, b"keyless", ()),
    }


async def test_only_what_waits_is_listed_unless_all_is_asked_for(kafka: KafkaSettings, bury: Bury) -> None:
    await bury(b"old", b"older")
    await replay_dead_letters(kafka, TOPUPS)
    assert (await list_dead_letters(kafka, TOPUPS)).letters == []
    await bury(b"new")
    assert [letter.value for letter in (await list_dead_letters(kafka, TOPUPS)).letters] == [b"new"]
    everything = await list_dead_letters(kafka, TOPUPS, replayed_too=True)
    assert {letter.value for letter in everything.letters} == {b"old", b"older", b"new"}
    assert await replay_dead_letters(kafka, TOPUPS) == 1


async def test_more_than_one_chunk_is_replayed_and_listed_up_to_a_limit(
    kafka: KafkaSettings, bury: Bury, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.dead_letters.CHUNK", 7)
    for number in range(6):
        await bury(*(b"%d" % (number * 10 + place) for place in range(10)), key=b"user %d" % number)
    listing = await list_dead_letters(kafka, TOPUPS, limit=15)
    assert (len(listing.letters), listing.total) == (15, 60)
    async with reading(kafka, TOPUPS) as topups:
        assert await replay_dead_letters(kafka, TOPUPS) == 60
        records = await topups.read(60)
    assert sorted(int(record.value) for record in records) == list(range(60))
    assert (await list_dead_letters(kafka, TOPUPS)).total == 0


async def test_what_kafka_did_not_take_still_waits(
    kafka: KafkaSettings, bury: Bury, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bury(b"one", b"two")

    async def refuse(*_: object) -> None:
        raise DeliveryError("Kafka did not take a message")

    with monkeypatch.context() as broken:
        broken.setattr(Publisher, "publish_all", refuse)
        with pytest.raises(DeliveryError):
            await replay_dead_letters(kafka, TOPUPS)
    assert (await list_dead_letters(kafka, TOPUPS)).total == 2
    assert await replay_dead_letters(kafka, TOPUPS) == 2


async def test_topics_keep_their_dead_letters_apart(kafka: KafkaSettings, bury: Bury) -> None:
    await bury(b"one")
    assert (await list_dead_letters(kafka, AUDIT_EVENTS)).total == 0
    assert await replay_dead_letters(kafka, AUDIT_EVENTS) == 0
    assert (await list_dead_letters(kafka, "topups.dlq")).total == 1


async def test_topics_without_dead_letters_are_refused_by_name(kafka: KafkaSettings) -> None:
    with pytest.raises(OffersError, match=r"redemption\.replies has no dead letters"):
        await list_dead_letters(kafka, "redemption.replies")
    missing = kafka.model_copy(update={"kafka_topic_prefix": "nowhere."})
    with pytest.raises(OffersError, match=r"nowhere\.topups\.dlq does not exist"):
        await replay_dead_letters(missing, TOPUPS)


async def test_the_command_line_lists_and_replays(run: Run, bury: Bury) -> None:
    await bury(b"\xffvalue")
    listed = await run("list", "topups")
    assert listed.exit_code == 0, listed.output
    for text in ("user", "segmenter", "amount: [red] is wrong", "base64:/3ZhbHVl"):
        assert text in listed.output
    (message,) = orjson.loads((await run("list", "topups", "--json")).stdout)["messages"]
    assert (message["key"], message["value"], message["error"]) == ("user", "base64:/3ZhbHVl", "amount: [red] is wrong")
    assert orjson.loads((await run("replay", "topups", "--json")).stdout) == {"topic": "topups", "replayed": 1}
    assert "no dead letters waiting" in (await run("list", "topups")).output
    assert "base64:/3ZhbHVl" in (await run("list", "topups", "--all")).output
    assert "0 sent to topups again" in (await run("replay", "topups")).output
