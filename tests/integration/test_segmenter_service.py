"""The segmenter over real Kafka and PostgreSQL: read models, memberships and their events."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest

from services.segmenter.rebuild import rebuild_chunk, request_rebuilds
from shared.broker import Outgoing, Publisher
from shared.database import Pool, prepare_connection
from shared.settings import KafkaSettings
from shared.topics import OFFERS_CHANGED, SEGMENTS_CHANGED, TOPUPS, USERS, dead_letter_topic
from tests.support.campaign import add_offer
from tests.support.services import segmenter_workers
from tests.support.topics import reading
from tests.support.waiting import until

MEMBERS = "SELECT count(*) FROM offer_segment_members"
OPEN_REBUILDS = "SELECT count(*) FROM offer_segment_rebuilds WHERE finished_at IS NULL"
NOW = datetime.now(UTC)
OPERATOR = uuid4()


@pytest.fixture
async def segmenter(pool: Pool, kafka: KafkaSettings, publisher: Publisher) -> AsyncIterator[None]:
    async with segmenter_workers(pool, kafka, publisher):
        yield


def topup(user_id: UUID, topup_id: UUID | None = None, **fields: Any) -> Outgoing:
    event = {
        "event_id": str(uuid4()),
        "type": "topup.succeeded",
        "topup_id": str(topup_id or uuid4()),
        "user_id": str(user_id),
        "operator_id": str(OPERATOR),
        "amount": "10.00",
        "occurred_at": (NOW - timedelta(hours=1)).isoformat(),
    } | fields
    return Outgoing(TOPUPS, str(user_id).encode(), orjson.dumps(event))


def user(user_id: UUID, **fields: Any) -> Outgoing:
    event = {
        "event_id": str(uuid4()),
        "type": "user.updated",
        "user_id": str(user_id),
        "registered_at": (NOW - timedelta(days=10)).isoformat(),
        "roles": [],
        "occurred_at": NOW.isoformat(),
    } | fields
    return Outgoing(USERS, str(user_id).encode(), orjson.dumps(event))


def changed(offer_id: UUID) -> Outgoing:
    event = {
        "event_id": str(uuid4()),
        "type": "offer.updated",
        "offer_id": str(offer_id),
        "code": "X",
        "status": "active",
        "version": 1,
        "rules_version": 1,
        "occurred_at": NOW.isoformat(),
    }
    return Outgoing(OFFERS_CHANGED, str(offer_id).encode(), orjson.dumps(event))


def min_topups(count: int, **params: Any) -> list[dict[str, Any]]:
    return [{"rule_type": "min_topups", "params": {"count": count} | params}]


@pytest.mark.usefixtures("segmenter")
async def test_a_topup_makes_a_member_until_it_leaves_the_window(pool: Pool, publisher: Publisher) -> None:
    offer_id, user_id = await add_offer(pool, min_topups(2, window_days=30)), uuid4()
    older, newer = NOW - timedelta(days=20), NOW - timedelta(days=3)
    await publisher.publish_all(
        [topup(user_id, occurred_at=newer.isoformat()), topup(user_id, occurred_at=older.isoformat())]
    )
    await until(pool, MEMBERS, 1)
    row = await pool.fetchrow("SELECT offer_id, user_id, valid_until FROM offer_segment_members")
    assert row is not None
    assert tuple(row) == (offer_id, user_id, older + timedelta(days=30))


@pytest.mark.usefixtures("segmenter")
async def test_one_topup_counts_once_however_often_and_in_whatever_order_it_is_told(
    pool: Pool, publisher: Publisher
) -> None:
    one, two, three, four = (uuid4() for _ in range(4))
    users = [uuid4() for _ in range(4)]
    early, late = (NOW - timedelta(hours=2)).isoformat(), (NOW - timedelta(hours=1)).isoformat()
    await publisher.publish_all(
        [
            topup(users[0], one, occurred_at=early),
            topup(users[0], one, occurred_at=early),
            topup(users[1], two, type="topup.failed", occurred_at=late),
            topup(users[1], two, occurred_at=early),
            topup(users[2], three, type="topup.reversed", occurred_at=early),
            topup(users[2], three, occurred_at=late),
            topup(users[3], four, type="topup.failed", occurred_at=early),
            topup(users[3], four, occurred_at=late, amount="12.34", kind="purchase"),
        ]
    )
    await until(pool, "SELECT count(*) FROM topup_requests", 4)
    await until(pool, "SELECT status FROM topup_requests WHERE id = $1", "succeeded", four)
    rows = await pool.fetch("SELECT id, status, amount, kind FROM topup_requests")
    assert {row["id"]: (row["status"], row["amount"], row["kind"]) for row in rows} == {
        one: ("succeeded", Decimal("10.00"), "topup"),
        two: ("failed", Decimal("10.00"), "topup"),
        three: ("reversed", Decimal("10.00"), "topup"),
        four: ("succeeded", Decimal("12.34"), "purchase"),
    }


@pytest.mark.usefixtures("segmenter")
async def test_a_reversal_ends_a_membership_at_once_and_tells_of_it(
    pool: Pool, publisher: Publisher, kafka: KafkaSettings
) -> None:
    offer_id, user_id, topup_id = await add_offer(pool, min_topups(1)), uuid4(), uuid4()
    async with reading(kafka, SEGMENTS_CHANGED) as changes:
        await publisher.publish_all([topup(user_id, topup_id)])
        await changes.read(1)
        await publisher.publish_all([topup(user_id, topup_id, type="topup.reversed", occurred_at=NOW.isoformat())])
        await changes.read(2)
        records = await changes.read_quiet()
    assert await pool.fetchval(MEMBERS) == 0
    events = [orjson.loads(record.value) for record in records]
    assert [event["type"] for event in events] == ["segment.entered", "segment.left"]
    assert all((event["offer_id"], event["user_id"]) == (str(offer_id), str(user_id)) for event in events)
    assert events[0]["valid_until"] is None
    assert records[0].key == str(user_id).encode()


@pytest.mark.usefixtures("segmenter")
async def test_a_topup_may_come_before_its_user_and_roles_decide_who_is_allowed(
    pool: Pool, publisher: Publisher
) -> None:
    user_id = uuid4()
    offer_id = await add_offer(pool, min_topups(1), allow_all=False)
    await pool.execute("INSERT INTO offer_allowed_roles VALUES ($1, 'agent')", offer_id)
    await publisher.publish_all([topup(user_id)])
    await until(pool, "SELECT count(*) FROM topup_requests", 1)
    assert await pool.fetchval(MEMBERS) == 0
    await publisher.publish_all([user(user_id, roles=["agent"], occurred_at=(NOW - timedelta(hours=1)).isoformat())])
    await until(pool, MEMBERS, 1)
    stale = (NOW - timedelta(hours=2)).isoformat()
    await publisher.publish_all([user(user_id, roles=[], occurred_at=stale)])
    await publisher.publish_all([user(user_id, roles=["client"])])
    await until(pool, MEMBERS, 0)
    assert await pool.fetchval("SELECT roles FROM users") == ["client"]


@pytest.mark.usefixtures("segmenter")
async def test_a_new_user_is_a_member_to_the_last_instant(pool: Pool, publisher: Publisher) -> None:
    await add_offer(pool, [{"rule_type": "new_user", "params": {"account_age_days": 30}}])
    registered = NOW - timedelta(days=10)
    await publisher.publish_all([user(uuid4()), user(uuid4(), registered_at="2020-01-01T00:00:00Z")])
    await until(pool, "SELECT count(*) FROM users WHERE created_at IS NOT NULL", 2)
    await until(pool, MEMBERS, 1)
    valid_until = await pool.fetchval("SELECT valid_until FROM offer_segment_members")
    assert valid_until == registered + timedelta(days=30, microseconds=1)


@pytest.mark.usefixtures("segmenter")
async def test_an_edit_or_archive_is_followed_by_a_rebuild(pool: Pool, publisher: Publisher) -> None:
    people = [uuid4() for _ in range(20)]
    offer_id = await add_offer(pool, min_topups(2))
    await publisher.publish_all(topup(person) for person in people for _ in range(2))
    await until(pool, MEMBERS, 20)
    await pool.execute("""UPDATE offer_eligibility_rules SET params = '{"count": 3}'""")
    await publisher.publish_all([changed(offer_id)])
    await until(pool, MEMBERS, 0)
    await pool.execute("""UPDATE offer_eligibility_rules SET params = '{"count": 1}'""")
    await publisher.publish_all([changed(offer_id)])
    await until(pool, MEMBERS, 20)
    versions = await pool.fetch(
        "SELECT DISTINCT m.rules_version, o.rules_version FROM offer_segment_members m"
        " JOIN offers o ON o.id = m.offer_id"
    )
    assert [tuple(row) for row in versions] == [(4, 4)]
    await pool.execute("UPDATE offers SET status = 'archived'")
    await publisher.publish_all([changed(offer_id)])
    await until(pool, MEMBERS, 0)
    await until(pool, OPEN_REBUILDS, 0)


@pytest.mark.usefixtures("segmenter")
async def test_a_membership_that_lapses_is_ended_and_told(
    pool: Pool, publisher: Publisher, kafka: KafkaSettings
) -> None:
    await add_offer(pool, [{"rule_type": "last_active_within", "params": {"window_days": 1}}])
    lapse = datetime.now(UTC) + timedelta(seconds=3)
    async with reading(kafka, SEGMENTS_CHANGED) as changes:
        await publisher.publish_all([topup(uuid4(), occurred_at=(lapse - timedelta(days=1)).isoformat())])
        events = [orjson.loads(record.value) for record in await changes.read(2)]
    assert [event["type"] for event in events] == ["segment.entered", "segment.left"]
    assert [datetime.fromisoformat(event["valid_until"]) for event in events] == [lapse, lapse]
    assert await pool.fetchval(MEMBERS) == 0


@pytest.mark.usefixtures("segmenter")
async def test_bad_events_cost_their_neighbours_nothing(pool: Pool, publisher: Publisher, kafka: KafkaSettings) -> None:
    """Not JSON, a negative amount, and a known topup claimed for another user."""
    owner, other, topup_id = uuid4(), uuid4(), uuid4()
    await publisher.publish_all([topup(owner, topup_id)])
    await until(pool, "SELECT count(*) FROM topup_requests", 1)
    claimed = topup(other, topup_id, occurred_at=NOW.isoformat())
    negative, broken = topup(other, amount="-1.00"), Outgoing(TOPUPS, str(other).encode(), b"topup!")
    async with reading(kafka, dead_letter_topic(TOPUPS)) as letters:
        await publisher.publish_all([topup(other), claimed, negative, broken, topup(other)])
        dead = await letters.read(3)
    assert {record.value for record in dead} == {claimed.value, negative.value, broken.value}
    await until(pool, "SELECT count(*) FROM topup_requests WHERE user_id = $1", 2, other)
    assert await pool.fetchval("SELECT user_id FROM topup_requests WHERE id = $1", topup_id) == owner


async def test_two_workers_and_a_repeated_stream_agree_with_the_reference(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher
) -> None:
    await add_offer(pool, min_topups(3, window_days=30))
    await add_offer(pool, [{"rule_type": "min_spent", "params": {"amount": "25.00"}}], eligibility_logic="any")
    people = [uuid4() for _ in range(100)]
    stream = [
        topup(person, occurred_at=(NOW - timedelta(days=11 * nth)).isoformat())
        for nth in range(4)
        for person in people[nth * 10 :]
    ]
    async with segmenter_workers(pool, kafka, publisher, 2):
        await publisher.publish_all(stream)
        await publisher.publish_all(stream)
        await until(pool, "SELECT count(*) FROM topup_requests", 340)
        await until(pool, OPEN_REBUILDS, 0)
    disagreements = await pool.fetchval(
        """SELECT count(*) FROM offers o CROSS JOIN users u
           LEFT JOIN offer_segment_members m ON m.offer_id = o.id AND m.user_id = u.id
           WHERE is_user_eligible_for_offer(o.id, u.id) <> (m.valid_until IS NOT NULL)
              OR eligibility_valid_until(o.id, u.id) IS DISTINCT FROM m.valid_until"""
    )
    assert disagreements == 0
    assert await pool.fetchval(MEMBERS) == 80 + 80


async def test_a_rebuild_goes_on_chunk_by_chunk_with_a_single_connection(pool: Pool, database_url: str) -> None:
    people = sorted(uuid4() for _ in range(5))
    await pool.execute("INSERT INTO users (id, created_at) SELECT unnest($1::uuid[]), now()", people)
    offer_id = await add_offer(pool, [{"rule_type": "new_user", "params": {"account_age_days": 1}}])
    async with asyncpg.create_pool(database_url, min_size=1, max_size=1, init=prepare_connection) as one:
        assert await request_rebuilds(one) == [offer_id]
        assert await request_rebuilds(one) == []
        done = []
        while (progress := await rebuild_chunk(one, chunk_users=2)) is not None:
            done.append((progress.users_done, progress.finished))
    assert done == [(2, False), (4, False), (5, False), (5, True)]
    assert [
        row["user_id"] for row in await pool.fetch("SELECT user_id FROM offer_segment_members ORDER BY 1")
    ] == people
    assert await pool.fetchval("SELECT sum(cardinality(messages)) FROM outbox WHERE topic = 'segments.changed'") == 5
