"""Segmenter workers that come, go and die in mid-stream: every topup counts once, every change is told once."""

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from aiokafka import ConsumerRecord

from shared.database import Pool
from shared.events.segments_changed import SegmentChanged
from shared.settings import KafkaSettings
from shared.topics import SEGMENTS_CHANGED, TOPUPS, USERS, dead_letter_topic
from tests.support.campaign import add_offer
from tests.support.read_models import ReadModels, stored_topups, stored_users
from tests.support.seed import printed_seed
from tests.support.topup_stream import TopupStream
from tests.support.traffic import Event, Traffic, read_all
from tests.support.waiting import until
from tests.support.worker_processes import WorkerProcesses, worker_processes

USERS_TOTAL: Final = 300
TOPUPS_TOTAL: Final = 2_400
BURST: Final = 1_200

UNFINISHED: Final = """
SELECT count(*) FROM offers AS o LEFT JOIN offer_segment_rebuilds AS b ON b.offer_id = o.id
WHERE b.finished_at IS NULL OR b.rules_version <> o.rules_version
"""
SEGMENTS: Final = """
SELECT o.id AS offer_id, u.id AS user_id, o.rules_version, m.rules_version AS row_version,
    eligibility_valid_until(o.id, u.id) AS until, m.valid_until AS row_until,
    is_user_eligible_for_offer(o.id, u.id) AS eligible, coalesce(m.valid_until > now(), false) AS is_member,
    coalesce(m.valid_until <= eligibility_valid_until(o.id, u.id), true) AS promises_no_more
FROM offers AS o CROSS JOIN users AS u
LEFT JOIN offer_segment_members AS m ON m.offer_id = o.id AND m.user_id = u.id
"""


async def test_rebalances_and_a_killed_worker_lose_nothing_and_double_nothing(
    pool: Pool, database_url: str, kafka: KafkaSettings, tmp_path: Path
) -> None:
    stream = TopupStream(random.Random(printed_seed()), users=USERS_TOTAL, operators=4)
    events = stream.events(TOPUPS_TOTAL)
    edited = await add_offers(pool, stream.operators)
    async with worker_processes("segmenter", database_url, kafka, tmp_path) as workers, Traffic(kafka) as traffic:
        await come_and_go(pool, workers, traffic, events, edited)
        await check_read_models(pool, events)
    assert await read_all(kafka, dead_letter_topic(TOPUPS)) == []
    assert await read_all(kafka, dead_letter_topic(USERS)) == []
    members = await check_segments(pool, events)
    assert check_told(await read_all(kafka, SEGMENTS_CHANGED)) == members


async def add_offers(pool: Pool, operators: Sequence[UUID]) -> UUID:
    """Ten offers with rules of every type; returns the one to be edited."""
    one, other = (str(operator) for operator in operators[:2])
    for rules in (
        [rule("min_topups", count=4)],
        [rule("min_transactions", count=2, window_days=7)],
        [rule("min_spent", amount="150.00", window_days=30)],
        [rule("operator_topup_count", operator_id=one, count=2)],
        [rule("operator_spent", operator_id=other, amount="60.00", window_days=30)],
        [rule("active_days", count=3, window_days=30)],
        [rule("last_active_within", window_days=1), rule("min_topups", count=3)],
    ):
        await add_offer(pool, rules)
    either = [rule("new_user", account_age_days=7), rule("min_topups", count=6)]
    await add_offer(pool, either, eligibility_logic="any")
    closed = await add_offer(pool, [rule("last_active_within", window_days=7)], allow_all=False)
    await pool.execute("INSERT INTO offer_allowed_roles VALUES ($1, 'agent')", closed)
    return await add_offer(pool, [rule("min_topups", count=2, window_days=30)])


def rule(rule_type: str, **params: Any) -> dict[str, Any]:
    return {"rule_type": rule_type, "params": params}


async def come_and_go(
    pool: Pool, workers: WorkerProcesses, traffic: Traffic, events: Sequence[Event], edited: UUID
) -> None:
    """Two workers take the stream up, one more comes and goes, another comes, and one of the first is killed."""
    first, second = await asyncio.gather(workers.start("first"), workers.start("second"))
    async with traffic.flowing(events[:-BURST]):
        await traffic.until_workers(2)
        third = await workers.start("third")
        await traffic.until_workers(3)
        assert await third.stop() == 0
        await pool.execute("""UPDATE offer_eligibility_rules SET params = '{"count": 3}' WHERE offer_id = $1""", edited)
        fourth = await workers.start("fourth")
        await traffic.until_workers(3)
    await traffic.publish(events[-BURST:])
    await first.kill()
    assert await traffic.lag() > 0, "it was killed when there was nothing to do"
    await traffic.until_consumed()
    await until(pool, UNFINISHED, 0)
    await until(pool, "SELECT count(*) FROM outbox", 0)
    assert list(await asyncio.gather(second.stop(), fourth.stop())) == [0, 0]


async def check_read_models(pool: Pool, events: Sequence[Event]) -> None:
    """Every topup and user is stored once, as all their events together say."""
    expected = ReadModels()
    expected.learn(events)
    assert await stored_topups(pool) == expected.topup_rows()
    assert await stored_users(pool) == expected.user_rows()


async def check_segments(pool: Pool, events: Sequence[Event]) -> set[tuple[UUID, UUID]]:
    """Rows are what the reference says of every user and offer, and none promises more; returns the members."""
    rows = await pool.fetch(SEGMENTS)
    assert len(rows) == 10 * len({event.user_id for event in events})
    wrong = [row for row in rows if row["eligible"] != row["is_member"] or not row["promises_no_more"]]
    assert wrong == []
    assert [row for row in rows if row["is_member"] and row["row_version"] != row["rules_version"]] == []
    members = {(row["offer_id"], row["user_id"]) for row in rows if row["is_member"]}
    assert len(members) > USERS_TOTAL, "hardly anybody is a member of anything"
    return members


def check_told(records: Sequence[ConsumerRecord[bytes, bytes]]) -> set[tuple[UUID, UUID]]:
    """Entries and departures take turns, beginning with an entry; returns who is inside after the last.

    A relay that was killed may have published a message that is published again: the same message, same id.
    """
    told: dict[UUID, bytes | None] = {}
    inside: set[tuple[UUID, UUID]] = set()
    for record in records:
        event = SegmentChanged.model_validate_json(record.value or b"")
        if event.event_id in told:
            assert told[event.event_id] == record.value
            continue
        told[event.event_id] = record.value
        pair = (event.offer_id, event.user_id)
        assert (pair in inside) == (event.type == "segment.left"), f"out of turn: {event}"
        inside ^= {pair}
    return inside
