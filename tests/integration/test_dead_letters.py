"""Dead letters over real Kafka: what waits, what is sent again, and that nothing is sent twice."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

import orjson
import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner, Result

from deploy.cli.dead_letters import app
from deploy.dead_letters import Wanted, list_dead_letters, replay_dead_letters
from shared.batches import dead_letter
from shared.broker import Headers, Outgoing, Publisher
from shared.database import Pool
from shared.errors import DeliveryError, OffersError
from shared.settings import KafkaSettings
from shared.topics import AUDIT_EVENTS, DEAD_LETTER_REPLAYS, TOPUPS
from tests.support.services import segmenter_workers
from tests.support.topics import reading

Bury = Callable[..., Awaitable[None]]
Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def bury(kafka: KafkaSettings, publisher: Publisher) -> Bury:
    """Puts messages of `topups` into its dead-letter topic, as the segmenter would."""

    async def bury_(
        *values: bytes | None,
        key: bytes | None = b"user",
        headers: Headers = (),
        error: str = "amount: [red] is wrong",
        service: str = "segmenter",
    ) -> None:
        topic = kafka.kafka_topic_prefix + TOPUPS
        records = [
            ConsumerRecord(topic, 2, 70 + place, 0, 0, key, value, None, 0, 0, tuple(headers))
            for place, value in enumerate(values)
        ]
        await publisher.publish_all(dead_letter(record, error, service, kafka.kafka_topic_prefix) for record in records)

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


def values(records: Iterable[ConsumerRecord[bytes, bytes]]) -> Counter[bytes]:
    """How often each value was read."""
    return Counter(record.value or b"" for record in records)


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
    once = ("dlq.replays", b"1")
    assert sent == {
        (b"user", b"one", (*headers, once)),
        (b"user", b"two", (*headers, once)),
        (b"tombstone", None, (once,)),
        (None, b"keyless", (once,)),
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
    monkeypatch.setattr("deploy.dead_letters.reading.CHUNK", 7)
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


async def test_a_letter_that_dies_again_comes_back_with_its_replays_counted(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher
) -> None:
    await publisher.publish_all([Outgoing(TOPUPS, b"user", b"no topup", [("trace", b"7")])])
    async with segmenter_workers(pool, kafka, publisher), reading(kafka, "topups.dlq") as letters:
        for deaths, replays in ((1, 0), (2, 1), (3, 2)):
            await letters.read(deaths)
            (letter,) = (await list_dead_letters(kafka, TOPUPS)).letters
            assert (letter.replays, letter.value, letter.headers[0]) == (replays, b"no topup", ("trace", b"7"))
            assert await replay_dead_letters(kafka, TOPUPS) == 1


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (Wanted(service="admin"), {b"three"}),
        (Wanted(error="WRONG"), {b"one", b"two"}),
        (Wanted(key=b"other"), {b"two", b"three"}),
        (Wanted(key=b"other", service="segmenter"), {b"two"}),
        (Wanted(service="audit"), set()),
    ],
)
async def test_a_filtered_replay_leaves_the_others_waiting(
    kafka: KafkaSettings, bury: Bury, wanted: Wanted, chosen: set[bytes]
) -> None:
    await bury(b"one")
    await bury(b"two", key=b"other")
    await bury(b"three", key=b"other", service="admin", error="too deep")
    assert await replay_dead_letters(kafka, TOPUPS, wanted) == len(chosen)
    assert await replay_dead_letters(kafka, TOPUPS, wanted) == 0
    left = (await list_dead_letters(kafka, TOPUPS)).letters
    assert {letter.value for letter in left} == {b"one", b"two", b"three"} - chosen
    async with reading(kafka, TOPUPS) as topups:
        assert await replay_dead_letters(kafka, TOPUPS) == 3 - len(chosen)
        assert values(await topups.read(3)) == {b"one": 1, b"two": 1, b"three": 1}


async def test_letters_are_chosen_by_partition_and_by_when_they_died(kafka: KafkaSettings, bury: Bury) -> None:
    await bury(b"old", key=b"user 1")
    await asyncio.sleep(0.002)  # Kafka's clock counts milliseconds.
    await bury(b"new", key=b"user 1")
    await bury(b"elsewhere", key=b"user 2")
    old, new, elsewhere = (await list_dead_letters(kafka, TOPUPS)).letters
    assert (old.value, new.value, elsewhere.value) == (b"old", b"new", b"elsewhere")
    assert old.partition == new.partition != elsewhere.partition
    there = Wanted(partition=elsewhere.partition)
    assert (await list_dead_letters(kafka, TOPUPS, there)).letters == [elsewhere]
    assert await replay_dead_letters(kafka, TOPUPS, Wanted(until=new.died_at)) == 1
    assert (await list_dead_letters(kafka, TOPUPS)).letters == [new, elsewhere]
    assert await replay_dead_letters(kafka, TOPUPS, Wanted(since=new.died_at, partition=new.partition)) == 1
    assert (await list_dead_letters(kafka, TOPUPS)).letters == [elsewhere]


async def test_an_interrupted_replay_goes_on_where_it_was(
    kafka: KafkaSettings, bury: Bury, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.dead_letters.reading.CHUNK", 4)
    await bury(*(b"%d" % number for number in range(10)))
    sending = asyncio.Event()
    publish = Publisher.publish_all

    async def slowly(self: Publisher, messages: Iterable[Outgoing]) -> None:
        await publish(self, messages)
        sending.set()
        await asyncio.sleep(0.1)

    with monkeypatch.context() as slow:
        slow.setattr(Publisher, "publish_all", slowly)
        replay = asyncio.create_task(replay_dead_letters(kafka, TOPUPS))
        await sending.wait()
        replay.cancel()
        with pytest.raises(asyncio.CancelledError):
            await replay
    async with reading(kafka, TOPUPS) as topups:
        assert await replay_dead_letters(kafka, TOPUPS) == 6
        await topups.read(10)
        assert values(await topups.read_quiet()) == {b"%d" % number: 1 for number in range(10)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_replay_stopped_by_a_signal_sends_each_letter_once_in_the_end(
    kafka: KafkaSettings, bury: Bury, number: signal.Signals
) -> None:
    letters = 20_000
    await bury(*(b"%d" % place for place in range(letters)))
    environment = {f"OFFERS_{name.upper()}": str(value) for name, value in kafka.model_dump(exclude_none=True).items()}
    command = (sys.executable, "-m", "deploy.cli", "dlq", "replay", "topups")
    async with reading(kafka, DEAD_LETTER_REPLAYS) as ledger, reading(kafka, TOPUPS) as topups:
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | environment, stderr=asyncio.subprocess.PIPE
        )
        await ledger.read(1)
        process.send_signal(number)
        _, errors = await process.communicate()
        assert (process.returncode, errors) == (130, b"interrupted: the same command sends the rest\n")
        left = await replay_dead_letters(kafka, TOPUPS)
        assert 0 < left < letters
        await topups.read(letters)
        assert values(await topups.read_quiet()) == {b"%d" % place: 1 for place in range(letters)}


async def test_a_topic_created_anew_is_not_taken_for_the_one_replayed_before(
    kafka: KafkaSettings, bury: Bury, publisher: Publisher
) -> None:
    before = b'{"topic":"topups","partition":%d,"ranges":[[0,9]],"latest_timestamp_ms":1700000000000}'
    await publisher.publish_all(Outgoing(DEAD_LETTER_REPLAYS, b"key", before % number) for number in range(4))
    await publisher.publish_all([Outgoing(DEAD_LETTER_REPLAYS, b"key", b"nothing of ours")])
    await bury(b"one")
    assert await replay_dead_letters(kafka, TOPUPS) == 1


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


async def test_the_command_line_filters_and_tries_out(run: Run, bury: Bury) -> None:
    await bury(b"one", key=b"\xff")
    await bury(b"two", error="too deep")
    tried = await run("replay", "topups", "--error", "DEEP", "--dry-run", "--json")
    assert orjson.loads(tried.stdout) == {"topic": "topups", "would_replay": 1}
    assert "2 would be sent to topups again" in (await run("replay", "topups", "--dry-run")).stdout
    (message,) = orjson.loads((await run("list", "topups", "--key", "base64:/w==", "--json")).stdout)["messages"]
    assert (message["value"], message["replays"]) == ("one", 0)
    none = await run("replay", "topups", "--service", "segmenter", "--since", "2999-01-01", "--json")
    assert orjson.loads(none.stdout) == {"topic": "topups", "replayed": 0}
    assert orjson.loads((await run("replay", "topups", "--error", "deep", "--json")).stdout)["replayed"] == 1
    assert orjson.loads((await run("list", "topups", "--json")).stdout)["total"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "'yesterday' is not a time such as"),
        (["--since", "2026-11-25T09:00", "--until", "2026-11-25T10:00:00+02:00"], "must be after --since"),
        (["--service", "checkout"], "'checkout' is not one of"),
        (["--partition", "-1"], "-1 is not in the range"),
        (["--key", "base64:?"], "is not base64"),
    ],
)
async def test_what_cannot_be_meant_is_refused(run: Run, arguments: list[str], said: str) -> None:
    for command in ("list", "replay"):
        refused = await run(command, "topups", *arguments)
        assert refused.exit_code == 2
        assert said in refused.output


async def test_a_partition_that_is_not_there_is_refused_by_number(kafka: KafkaSettings) -> None:
    with pytest.raises(OffersError, match=r"topups\.dlq has no partition 4; it has 0 to 3"):
        await replay_dead_letters(kafka, TOPUPS, Wanted(partition=4))
