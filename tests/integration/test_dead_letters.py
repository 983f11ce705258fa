"""Dead letters over real Kafka: what waits, what is sent again, and that nothing is sent twice."""

import asyncio
from collections.abc import Iterable

import pytest

from deploy.dead_letters import Wanted, list_dead_letters, replay_dead_letters
from shared.broker import Outgoing, Publisher
from shared.database import Pool
from shared.errors import DeliveryError, OffersError
from shared.settings import KafkaSettings
from shared.topics import AUDIT_EVENTS, DEAD_LETTER_REPLAYS, TOPUPS
from tests.support.dead_letters import Bury, values
from tests.support.services import segmenter_workers
from tests.support.topics import reading


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


async def test_a_partition_that_is_not_there_is_refused_by_number(kafka: KafkaSettings) -> None:
    with pytest.raises(OffersError, match=r"topups\.dlq has no partition 4; it has 0 to 3"):
        await replay_dead_letters(kafka, TOPUPS, Wanted(partition=4))
