"""The redemption service over real Kafka and PostgreSQL: what checkouts see, and what is stored."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from shared.broker import Outgoing, Publisher
from shared.database import Pool
from shared.settings import KafkaSettings
from shared.topics import AUDIT_EVENTS, REDEMPTION_REPLIES, REDEMPTION_REQUESTS, create_topics, dead_letter_topic
from tests.support.campaign import add_offer
from tests.support.requests import message, redeem
from tests.support.services import redemption_workers
from tests.support.topics import TopicReader, reading


class Checkout:
    """Sends requests and collects their replies, by request id."""

    def __init__(self, publisher: Publisher, replies: TopicReader) -> None:
        self._publisher, self._replies = publisher, replies

    async def ask(self, *requests: dict[str, Any]) -> list[dict[str, Any]]:
        """The replies in the order of the requests."""
        before = len(self._replies.records)
        await self._publisher.publish_all(message(request) for request in requests)
        records = (await self._replies.read(before + len(requests)))[before:]
        by_request: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            reply = orjson.loads(record.value)
            by_request.setdefault(reply["request_id"], []).append(reply)
        return [by_request[request["request_id"]].pop(0) for request in requests]


@pytest.fixture
async def checkout(pool: Pool, kafka: KafkaSettings, publisher: Publisher) -> AsyncIterator[Checkout]:
    """A checkout of a redemption service with two workers."""
    async with redemption_workers(pool, kafka, publisher, 2), reading(kafka, REDEMPTION_REPLIES) as replies:
        yield Checkout(publisher, replies)


async def test_an_accepted_redemption_is_priced_stored_and_counted(checkout: Checkout, pool: Pool) -> None:
    offer_id, user_id = await add_offer(pool, discount_value=Decimal("12.50")), uuid4()
    request = redeem(offer_id, user_id, quantity=3, unit_price="19.99")
    (reply,) = await checkout.ask(request)
    assert reply["status"] == "accepted"
    assert reply["reason"] is None
    assert (reply["price"], reply["discount_amount"], reply["price_paid"]) == ("59.97", "7.50", "52.47")
    assert (reply["offer_id"], reply["user_id"], reply["command"]) == (str(offer_id), str(user_id), "redeem")
    row = await pool.fetchrow("SELECT * FROM offer_redemptions")
    assert row is not None
    assert str(row["id"]) == reply["redemption_id"]
    assert (row["price_paid"], row["discount_amount"], row["quantity"]) == (Decimal("52.47"), Decimal("7.50"), 3)
    assert (str(row["request_id"]), row["revoked_at"]) == (request["request_id"], None)
    assert await pool.fetchval("SELECT usage_count FROM offers") == 1
    assert await pool.fetchval("SELECT count(*) FROM redemption_decisions") == 1


async def test_every_reason_for_refusing_a_redeem(checkout: Checkout, pool: Pool) -> None:
    now, product, user = datetime.now(UTC), uuid4(), uuid4()
    await pool.execute("INSERT INTO users (id, created_at, roles) VALUES ($1, now(), '{agent}')", user)
    plain = await add_offer(pool, code="PLAIN")
    scoped = await add_offer(pool, apply_to="products")
    await pool.execute(
        "INSERT INTO offer_products (offer_id, operator_product_id, max_quantity_per_purchase) VALUES ($1, $2, 2)",
        scoped,
        product,
    )
    closed = await add_offer(pool, allow_all=False)
    for_agents = await add_offer(pool, allow_all=False)
    await pool.execute("INSERT INTO offer_allowed_roles VALUES ($1, 'agent')", for_agents)
    needs_topups = await add_offer(pool, [{"rule_type": "min_topups", "params": {"count": 2}}])
    once_each = await add_offer(pool, per_user_limit=1)
    gone = await add_offer(pool, total_usage_limit=1)
    cases: list[tuple[dict[str, Any], str | None]] = [
        (redeem(plain, user) | {"quantity": 0}, "invalid_request"),
        (redeem(None, user), "invalid_request"),
        (redeem(plain, user, deadline=(now - timedelta(seconds=1)).isoformat()), "deadline_passed"),
        (redeem(uuid4(), user), "offer_not_found"),
        (redeem(None, user, code="NO-SUCH"), "offer_not_found"),
        (redeem(await add_offer(pool, status="draft"), user), "offer_inactive"),
        (redeem(await add_offer(pool, status="paused"), user), "offer_inactive"),
        (redeem(await add_offer(pool, status="archived"), user), "offer_inactive"),
        (redeem(await add_offer(pool, starts_at=now + timedelta(hours=1)), user), "offer_not_started"),
        (redeem(await add_offer(pool, ends_at=now - timedelta(hours=1)), user), "offer_ended"),
        (redeem(scoped, user), "product_not_covered"),
        (redeem(scoped, user, operator_product_id=str(uuid4())), "product_not_covered"),
        (redeem(scoped, user, operator_product_id=str(product), quantity=3), "quantity_exceeded"),
        (redeem(scoped, user, operator_product_id=str(product), quantity=2), None),
        (redeem(closed, user), "user_not_allowed"),
        (redeem(for_agents, uuid4()), "user_not_allowed"),
        (redeem(for_agents, user), None),
        (redeem(needs_topups, user), "not_eligible"),
        (redeem(once_each, user), None),
        (redeem(once_each, user), "per_user_limit_reached"),
        (redeem(gone, user), None),
        (redeem(gone, user), "offer_exhausted"),
        (redeem(None, user, code="PLAIN"), None),
    ]
    replies = await checkout.ask(*(request for request, _ in cases))
    assert [reply["reason"] for reply in replies] == [reason for _, reason in cases]
    refused = next(reply for reply in replies if reply["reason"] == "not_eligible")
    assert refused["explanation"] == [
        {
            "rule_key": "rule-0",
            "rule_type": "min_topups",
            "passed": False,
            "required": 2,
            "actual": 0,
            "valid_until": None,
            "missing": "2 more topups",
        }
    ]
    assert (refused["price"], refused["discount_amount"], refused["price_paid"]) == ("100.00", "0.00", "100.00")


async def test_a_repeat_gets_the_same_bytes_and_other_content_is_a_conflict(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher
) -> None:
    offer_id = await add_offer(pool)
    request = redeem(offer_id)
    other = request | {"quantity": 2}
    async with redemption_workers(pool, kafka, publisher), reading(kafka, REDEMPTION_REPLIES) as replies:
        await publisher.publish_all([message(request, correlation_id="one")])
        await replies.read(1)
        await publisher.publish_all([message(request, correlation_id="two")])
        await replies.read(2)
        await publisher.publish_all([message(other), message(request)])
        records = await replies.read(4)
    first, second, conflict, fourth = records
    assert first.value == second.value == fourth.value
    assert dict(first.headers)["correlation_id"] == b"one"
    assert dict(second.headers)["correlation_id"] == b"two"
    assert orjson.loads(conflict.value)["reason"] == "idempotency_conflict"
    assert await pool.fetchval("SELECT count(*) FROM offer_redemptions") == 1
    assert await pool.fetchval("SELECT usage_count FROM offers") == 1


async def test_a_revocation_returns_the_use_once_and_is_never_revived(checkout: Checkout, pool: Pool) -> None:
    offer_id, user_id = await add_offer(pool, per_user_limit=1, total_usage_limit=1), uuid4()
    first = redeem(offer_id, user_id)
    (accepted,) = await checkout.ask(first)
    revoke = {"request_id": str(uuid4()), "command": "revoke", "redemption_id": accepted["redemption_id"]}
    again = {"request_id": str(uuid4()), "command": "revoke", "redeem_request_id": first["request_id"]}
    unknown = {"request_id": str(uuid4()), "command": "revoke", "redemption_id": str(uuid4())}
    (revoked,) = await checkout.ask(revoke)
    twice, missing, repeated = await checkout.ask(again, unknown, first)
    assert (revoked["status"], revoked["redemption_id"]) == ("accepted", accepted["redemption_id"])
    assert (twice["reason"], missing["reason"]) == ("already_revoked", "redemption_not_found")
    assert repeated == accepted
    assert await pool.fetchval("SELECT usage_count FROM offers") == 0
    assert await pool.fetchval("SELECT revoked_at IS NOT NULL FROM offer_redemptions")
    (second,) = await checkout.ask(redeem(offer_id, user_id))
    assert second["status"] == "accepted"


async def test_quotes_decide_without_leaving_a_trace(checkout: Checkout, pool: Pool) -> None:
    user = uuid4()
    small = await add_offer(pool, code="SMALL", discount_value=5, total_usage_limit=1)
    large = await add_offer(pool, code="LARGE", discount_type="fixed_amount", discount_value=20)
    await add_offer(pool, [{"rule_type": "last_active_within", "params": {"window_days": 7}}], discount_value=90)
    one, every = await checkout.ask(redeem(small, user, command="quote"), redeem(None, user, command="quote"))
    assert (one["status"], one["price_paid"], one["redemption_id"]) == ("accepted", "95.00", None)
    assert one["explanation"] == []
    assert [(offer["code"], offer["price_paid"]) for offer in every["offers"]] == [
        ("LARGE", "80.00"),
        ("SMALL", "95.00"),
    ]
    assert (every["offer_id"], every["discount_amount"]) == (str(large), "20.00")
    for table in ("offer_redemptions", "redemption_decisions"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608
    assert await pool.fetchval("SELECT max(usage_count) FROM offers") == 0


async def test_a_refusal_and_a_quote_say_what_is_missing(checkout: Checkout, pool: Pool) -> None:
    user, operator = uuid4(), uuid4()
    await pool.execute("INSERT INTO operators (id, name) VALUES ($1, 'MTN')", operator)
    await pool.execute(
        "INSERT INTO topup_requests (id, user_id, operator_id, amount, status, occurred_at)"
        " VALUES (gen_random_uuid(), $1, $2, 10, 'succeeded', now() - interval '1 day')",
        user,
        operator,
    )
    rules = [
        {"rule_type": "operator_topup_count", "params": {"operator_id": operator, "count": 3, "window_days": 30}},
        {"rule_type": "min_spent", "params": {"amount": "10.00"}},
    ]
    offer_id = await add_offer(pool, rules)
    replies = await checkout.ask(redeem(offer_id, user), redeem(offer_id, user, command="quote"))
    for reply in replies:
        assert reply["reason"] == "not_eligible"
        assert [(rule["passed"], rule["missing"]) for rule in reply["explanation"]] == [
            (False, "2 more topups on MTN within 30 days"),
            (True, None),
        ]


@pytest.mark.parametrize(
    ("limits", "users", "reason"),
    [({"total_usage_limit": 100}, 400, "offer_exhausted"), ({"per_user_limit": 2}, 50, "per_user_limit_reached")],
)
async def test_concurrent_requests_never_pass_a_limit_and_never_stay_below_it(
    checkout: Checkout, pool: Pool, limits: dict[str, int], users: int, reason: str
) -> None:
    """400 requests by id and by code, so that they reach both workers through different partitions."""
    offer_id = await add_offer(pool, None, code="RACE", **limits)
    people = [uuid4() for _ in range(users)]
    requests = [
        redeem(offer_id, people[place % users]) if place % 2 else redeem(None, people[place % users], code="RACE")
        for place in range(400)
    ]
    replies = await checkout.ask(*requests)
    assert Counter(reply["reason"] for reply in replies) == {None: 100, reason: 300}
    assert await pool.fetchval("SELECT usage_count FROM offers") == 100
    assert await pool.fetchval("SELECT count(*) FROM offer_redemptions") == 100
    assert await pool.fetchval("SELECT count(*) FROM redemption_decisions") == 400


async def test_a_malformed_message_is_dead_lettered_and_its_neighbours_are_answered(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher
) -> None:
    offer_id = await add_offer(pool)
    before, after = redeem(offer_id), redeem(offer_id)
    half_valid = redeem(offer_id, unit_price="ten")
    key = str(offer_id).encode()
    headers: list[tuple[str, Any]] = [("correlation_id", b"c-1"), ("trace", b"\xff\xfe"), ("nothing", None)]
    async with (
        reading(kafka, REDEMPTION_REPLIES) as replies,
        reading(kafka, dead_letter_topic(REDEMPTION_REQUESTS)) as letters,
    ):
        await publisher.publish_all(
            [
                message(before),
                Outgoing(REDEMPTION_REQUESTS, key, b'{"request_id": ', headers),
                Outgoing(REDEMPTION_REQUESTS, key, None, headers),
                message(half_valid),
                message(after),
            ]
        )
        async with redemption_workers(pool, kafka, publisher):
            answered = [orjson.loads(record.value) for record in await replies.read(3)]
            dead = await letters.read(3)
    assert {reply["request_id"]: reply["reason"] for reply in answered} == {
        before["request_id"]: None,
        half_valid["request_id"]: "invalid_request",
        after["request_id"]: None,
    }
    broken = next(record for record in dead if record.value == b'{"request_id": ')
    assert broken.key == key
    assert broken.headers[:3] == tuple(headers)
    about = dict(broken.headers[3:])
    assert about["dlq.topic"] == (kafka.kafka_topic_prefix + REDEMPTION_REQUESTS).encode()
    assert about["dlq.service"] == b"redemption"
    assert int(about["dlq.partition"]) in range(kafka.kafka_partitions)
    assert int(about["dlq.offset"]) >= 0
    assert b"Invalid JSON" in about["dlq.error"]


async def test_replies_go_where_the_request_says(pool: Pool, kafka: KafkaSettings, publisher: Publisher) -> None:
    offer_id = await add_offer(pool)
    own = "redemption.replies.shop"
    await create_topics(kafka, [own])
    placed, lost, forbidden = redeem(offer_id), redeem(offer_id), redeem(offer_id)
    async with (
        redemption_workers(pool, kafka, publisher),
        reading(kafka, own) as elsewhere,
        reading(kafka, REDEMPTION_REPLIES) as default,
    ):
        await publisher.publish_all(
            [
                message(placed, reply_to=kafka.kafka_topic_prefix + own, reply_partition="2"),
                message(lost, reply_to="no.such.topic"),
                message(forbidden, reply_to=kafka.kafka_topic_prefix + AUDIT_EVENTS),
            ]
        )
        (record,) = await elsewhere.read(1)
        fallbacks = await default.read(2)
    assert (record.partition, record.key.decode()) == (2, placed["request_id"])
    answered = {orjson.loads(fallback.value)["request_id"] for fallback in fallbacks}
    assert answered == {lost["request_id"], forbidden["request_id"]}


async def test_each_decision_is_audited_under_one_id(pool: Pool, kafka: KafkaSettings, publisher: Publisher) -> None:
    offer_id = await add_offer(pool, total_usage_limit=1)
    accepted, refused = redeem(offer_id), redeem(offer_id)
    async with redemption_workers(pool, kafka, publisher), reading(kafka, AUDIT_EVENTS) as audit:
        await publisher.publish_all([message(accepted), message(refused), message(accepted)])
        events = [orjson.loads(record.value) for record in await audit.read(3)]
    by_type = Counter(event["type"] for event in events)
    assert by_type == {"redemption.accepted": 2, "redemption.rejected": 1}
    twice = [event for event in events if event["type"] == "redemption.accepted"]
    assert twice[0] == twice[1]
    assert UUID(twice[0]["entity_id"]) == await pool.fetchval("SELECT id FROM offer_redemptions")
    rejected = next(event for event in events if event["type"] == "redemption.rejected")
    assert rejected["data"]["reply"]["reason"] == "offer_exhausted"
    assert rejected["data"]["request"]["request_id"] == refused["request_id"]
