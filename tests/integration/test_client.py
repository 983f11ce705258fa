"""The checkout's client over a real broker, with a responder that answers as a test tells it to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.batches import KafkaRecord
from shared.broker import Outgoing, Publisher, client_options
from shared.client import ClientClosed, EventPublisher, RedemptionClient, UnreadableReply
from shared.client.redemption import Request
from shared.clock import utc_now
from shared.errors import ConfigurationError, RequestTimeout
from shared.events.redemption_replies import RedemptionReply
from shared.events.redemption_requests import REDEMPTION_REQUEST, RedeemRequest
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.settings import KafkaSettings

USER = UUID("10000000-0000-4000-8000-000000000001")
Respond = Callable[[Request, KafkaRecord], Awaitable[None]]


def header(record: KafkaRecord, name: str) -> bytes:
    return bytes(dict(record.headers)[name])


def reply_to(request: Request) -> RedemptionReply:
    return RedemptionReply(
        request_id=request.request_id, command=request.command, status="accepted", decided_at=utc_now()
    )


def answer(record: KafkaRecord, value: bytes, correlation_id: bytes | None = None) -> Outgoing:
    """A reply to where the request asks for it."""
    return Outgoing(
        header(record, "reply_to").decode(),
        b"key",
        value,
        [("correlation_id", correlation_id or header(record, "correlation_id"))],
        partition=int(header(record, "reply_partition")),
        exact_topic=True,
    )


@asynccontextmanager
async def reading(kafka: KafkaSettings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of every partition of a topic, from its beginning."""
    consumer = AIOKafkaConsumer(
        **client_options(kafka), group_id=None, auto_offset_reset="earliest", fetch_max_wait_ms=20
    )
    await consumer.start()
    try:
        name = kafka.kafka_topic_prefix + topic
        consumer.assign([TopicPartition(name, partition) for partition in range(kafka.kafka_partitions)])
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def responding(kafka: KafkaSettings, respond: Respond) -> AsyncIterator[None]:
    """A stand-in for the redemption service."""

    async def loop(consumer: AIOKafkaConsumer) -> None:
        async for record in consumer:
            await respond(REDEMPTION_REQUEST.validate_json(record.value), record)

    async with reading(kafka, "redemption.requests") as consumer:
        task = asyncio.create_task(loop(consumer))
        try:
            yield
        finally:
            task.cancel()


@asynccontextmanager
async def accepting(kafka: KafkaSettings, publisher: Publisher) -> AsyncIterator[list[KafkaRecord]]:
    """A responder that accepts everything; yields the records it has seen."""
    seen: list[KafkaRecord] = []

    async def accept(request: Request, record: KafkaRecord) -> None:
        seen.append(record)
        await publisher.publish_all([answer(record, reply_to(request).to_bytes())])

    async with responding(kafka, accept):
        yield seen


async def test_a_thousand_calls_at_once_each_get_their_own_reply(kafka: KafkaSettings, publisher: Publisher) -> None:
    held: list[Outgoing] = []

    async def accept_in_reverse(request: Request, record: KafkaRecord) -> None:
        held.append(answer(record, reply_to(request).to_bytes()))
        if len(held) == 1_000:
            await publisher.publish_all(reversed(held))

    request_ids = [uuid4() for _ in range(1_000)]
    async with responding(kafka, accept_in_reverse), RedemptionClient(kafka) as client:
        replies = await asyncio.gather(
            *(
                client.redeem(USER, Decimal("10.00"), code="TEN", request_id=request_id, timeout_s=60)
                for request_id in request_ids
            )
        )
    assert [reply.request_id for reply in replies] == request_ids


async def test_clients_that_share_a_reply_partition_get_only_their_own_replies(
    kafka: KafkaSettings, publisher: Publisher
) -> None:
    first, second = uuid4(), uuid4()
    async with (
        accepting(kafka, publisher),
        RedemptionClient(kafka, reply_partition=2) as one,
        RedemptionClient(kafka, reply_partition=2) as two,
    ):
        replies = await asyncio.gather(
            one.redeem(USER, Decimal("10.00"), code="TEN", request_id=first),
            two.redeem(USER, Decimal("10.00"), code="TEN", request_id=second),
        )
    assert [reply.request_id for reply in replies] == [first, second]


async def test_a_call_without_a_reply_times_out_and_says_which(kafka: KafkaSettings) -> None:
    request_id = uuid4()
    async with RedemptionClient(kafka) as client:
        with pytest.raises(RequestTimeout, match=str(request_id)):
            await client.redeem(USER, Decimal("10.00"), code="TEN", request_id=request_id, timeout_s=0.2)


async def test_an_ambiguous_timeout_is_asked_about_once_more_under_the_same_id_and_deadline(
    kafka: KafkaSettings, publisher: Publisher
) -> None:
    seen: list[Request] = []

    async def answer_the_second(request: Request, record: KafkaRecord) -> None:
        seen.append(request)
        if len(seen) == 2:
            await publisher.publish_all([answer(record, reply_to(request).to_bytes())])

    async with responding(kafka, answer_the_second), RedemptionClient(kafka) as client:
        reply = await client.redeem(USER, Decimal("10.00"), code="TEN", timeout_s=1)
    assert reply.status == "accepted"
    first, second = seen
    assert first == second
    assert first.request_id == reply.request_id


async def test_a_late_reply_answers_a_call_that_has_asked_again(kafka: KafkaSettings, publisher: Publisher) -> None:
    held: list[Outgoing] = []

    async def answer_the_first_too_late(request: Request, record: KafkaRecord) -> None:
        held.append(answer(record, reply_to(request).to_bytes()))
        if len(held) == 2:
            await publisher.publish_all(held[:1])

    async with responding(kafka, answer_the_first_too_late), RedemptionClient(kafka) as client:
        assert (await client.redeem(USER, Decimal("10.00"), code="TEN", timeout_s=1)).status == "accepted"


async def test_replies_of_others_and_late_ones_are_passed_over(kafka: KafkaSettings, publisher: Publisher) -> None:
    async def a_stranger_first(request: Request, record: KafkaRecord) -> None:
        stranger = reply_to(request).model_copy(update={"request_id": uuid4()}).to_bytes()
        own = reply_to(request).to_bytes()
        await publisher.publish_all(
            [answer(record, stranger, b"unknown"), answer(record, b"no json", b"unknown"), answer(record, own)]
        )

    request_id = uuid4()
    async with responding(kafka, a_stranger_first), RedemptionClient(kafka) as client:
        reply = await client.redeem(USER, Decimal("10.00"), code="TEN", request_id=request_id)
    assert reply.request_id == request_id


async def test_an_unreadable_reply_fails_its_call_and_no_other(kafka: KafkaSettings, publisher: Publisher) -> None:
    async def garble_quotes(request: Request, record: KafkaRecord) -> None:
        value = b'{"status": "perhaps"}' if request.command == "quote" else reply_to(request).to_bytes()
        await publisher.publish_all([answer(record, value)])

    async with responding(kafka, garble_quotes), RedemptionClient(kafka) as client:
        with pytest.raises(UnreadableReply, match="status"):
            await client.quote(USER, Decimal("10.00"))
        assert (await client.redeem(USER, Decimal("10.00"), code="TEN")).status == "accepted"


async def test_closing_fails_the_calls_under_way(kafka: KafkaSettings) -> None:
    client = RedemptionClient(kafka)
    async with client:
        calls = [asyncio.create_task(client.quote(USER, Decimal("10.00"), timeout_s=60)) for _ in range(3)]
        async with reading(kafka, "redemption.requests") as requests:
            for _ in calls:
                await requests.getone()
    assert all(isinstance(outcome, ClientClosed) for outcome in await asyncio.gather(*calls, return_exceptions=True))
    with pytest.raises(ClientClosed):
        await client.quote(USER, Decimal("10.00"))


async def test_a_request_says_where_its_reply_goes_and_until_when_it_counts(
    kafka: KafkaSettings, publisher: Publisher
) -> None:
    offer_id = uuid4()
    async with accepting(kafka, publisher) as seen, RedemptionClient(kafka, reply_partition=3) as client:
        before = utc_now()
        await client.redeem(USER, Decimal("10.00"), offer_id=offer_id, timeout_s=30)
        after = utc_now()
    (record,) = seen
    request = REDEMPTION_REQUEST.validate_json(record.value or b"")
    assert record.key == str(offer_id).encode()
    assert header(record, "reply_to") == f"{kafka.kafka_topic_prefix}redemption.replies".encode()
    assert header(record, "reply_partition") == b"3"
    assert isinstance(request, RedeemRequest)
    assert request.deadline is not None
    assert before + timedelta(seconds=30) <= request.deadline <= after + timedelta(seconds=30)


async def test_requests_are_keyed_by_what_they_are_about(kafka: KafkaSettings, publisher: Publisher) -> None:
    redemption_id, redeem_request_id = uuid4(), uuid4()
    async with accepting(kafka, publisher) as seen, RedemptionClient(kafka) as client:
        await client.redeem(USER, Decimal("10.00"), code="TEN")
        await client.revoke(redemption_id=redemption_id)
        await client.revoke(redeem_request_id=redeem_request_id)
    assert [record.key for record in seen] == [b"TEN", str(redemption_id).encode(), str(redeem_request_id).encode()]


async def test_a_reply_partition_that_does_not_exist_is_refused(kafka: KafkaSettings) -> None:
    with pytest.raises(ConfigurationError, match="partitions 0 to 3"):
        async with RedemptionClient(kafka, reply_partition=4):
            pass


async def test_missing_topics_are_named(kafka: KafkaSettings) -> None:
    elsewhere = kafka.model_copy(update={"kafka_topic_prefix": "nowhere."})
    with pytest.raises(ConfigurationError, match=r"nowhere\.redemption\.replies"):
        async with RedemptionClient(elsewhere):
            pass


async def test_events_are_keyed_by_user(kafka: KafkaSettings) -> None:
    topup = TopupEvent(
        event_id=uuid4(),
        type="topup.succeeded",
        topup_id=uuid4(),
        user_id=USER,
        operator_id=uuid4(),
        amount=Decimal("20.00"),
        occurred_at=utc_now(),
    )
    user = UserEvent(
        event_id=uuid4(), type="user.registered", user_id=USER, registered_at=utc_now(), occurred_at=utc_now()
    )
    async with EventPublisher(kafka) as publisher:
        await publisher.topup(topup)
        await publisher.user(user)
    async with reading(kafka, "topups") as topups, reading(kafka, "users") as users:
        records = [await topups.getone(), await users.getone()]
    assert [record.key for record in records] == [str(USER).encode()] * 2
    assert [record.value for record in records] == [topup.to_bytes(), user.to_bytes()]
