"""Decisions and members are counted beside the traffic: each once, however late and by however many."""

import asyncio
import random
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest

from services.admin.insight import counting
from services.admin.insight.census import Census
from services.admin.insight.counting import DecisionCounter
from services.admin.insight.store import load_figures, queries
from shared.clock import utc_now
from shared.database import Pool
from tests.support.campaign import add_offer
from tests.support.deciding import redemption_handler, replies_to
from tests.support.insight import (
    ACCEPTED,
    NOON,
    REVOKED,
    add_decisions,
    add_members,
    add_offers,
    count_all,
    count_from,
    counts,
    rejected,
)
from tests.support.requests import redeem

STILL_WAITING_S = 0.3
WRITERS = 8
BATCHES = 15
MEMBER_COUNTS = "SELECT members FROM offer_member_counts WHERE offer_id = $1 ORDER BY hour"
COUNTED = "SELECT coalesce(sum(decisions), 0)::integer FROM offer_decision_counts WHERE offer_id = $1"


async def test_decisions_are_counted_by_hour_and_kind_with_the_discounts_of_those_accepted(pool: Pool) -> None:
    offer, other = await add_offer(pool), await add_offer(pool)
    hour = timedelta(hours=1)
    await add_decisions(pool, offer, ACCEPTED, NOON, 3, "2.50")
    await add_decisions(pool, offer, ACCEPTED, NOON + hour - timedelta(microseconds=1), 2, "1.00")
    await add_decisions(pool, offer, REVOKED, NOON + hour, 1, "2.50")
    await add_decisions(pool, offer, rejected("not_eligible"), NOON + hour, 4, "7.00")
    await add_decisions(pool, offer, rejected("offer_ended"), NOON + 30 * hour, 1, None)
    await add_decisions(pool, other, ACCEPTED, NOON, 1, "0.00")
    await add_decisions(pool, None, rejected("offer_not_found"), NOON, 1, None)
    await add_decisions(pool, uuid4(), rejected("offer_not_found"), NOON, 1, None)
    await count_all(pool, NOON)
    assert await counts(pool, offer) == [
        ("04 12:00", "redeem", "accepted", "", 5, "9.50"),
        ("04 13:00", "redeem", "rejected", "not_eligible", 4, "0.00"),
        ("04 13:00", "revoke", "accepted", "", 1, "2.50"),
        ("05 18:00", "redeem", "rejected", "offer_ended", 1, "0.00"),
    ]
    assert await counts(pool, other) == [("04 12:00", "redeem", "accepted", "", 1, "0.00")]
    assert await pool.fetchval("SELECT count(*) FROM offer_decision_counts") == 5, "no rows for offers there are not"
    before = await counts(pool, offer)
    await count_all(pool)
    assert await counts(pool, offer) == before, "what is counted is not counted again"


async def test_what_the_service_decides_is_counted_and_a_revoke_takes_its_discount_back(pool: Pool) -> None:
    offer, paused = await add_offer(pool, usage_count=0), await add_offer(pool, status="paused")
    requests = [redeem(offer), redeem(offer), redeem(paused)]
    revoke = {"request_id": str(uuid4()), "command": "revoke", "redeem_request_id": requests[0]["request_id"]}
    handler = redemption_handler(pool)
    await replies_to(handler, [orjson.dumps(request) for request in requests])
    await replies_to(handler, [orjson.dumps(revoke)])
    await count_all(pool)
    figures = await load_figures(pool, offer)
    assert figures is not None
    assert (figures.totals.used, str(figures.totals.discount_given)) == (1, "10.00")
    assert (figures.totals.accepted_today, figures.totals.revoked_today, figures.totals.rejected_today) == (2, 1, 0)
    refused = await load_figures(pool, paused)
    assert refused is not None
    assert refused.day.rejected == {"offer_inactive": 1}


async def test_a_decision_that_is_committed_late_is_waited_for(pool: Pool) -> None:
    offer = await add_offer(pool)
    async with pool.acquire() as slow:
        transaction = slow.transaction()
        await transaction.start()
        await slow.fetchval("SELECT decision_period()")
        decided_at = await slow.fetchval("SELECT clock_timestamp()")
        await add_decisions(pool, offer, ACCEPTED, utc_now())
        counting_ = asyncio.create_task(count_all(pool))
        done, _ = await asyncio.wait({counting_}, timeout=STILL_WAITING_S)
        assert not done, "it counted past a batch that is under way"
        await add_decisions(slow, offer, ACCEPTED, decided_at, 5)
        await transaction.commit()
    await counting_
    assert await pool.fetchval(COUNTED, offer) == 6


async def test_a_batch_that_does_not_end_stops_the_count_and_not_the_counter(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SETTLING_S_MAX", 0.05)
    offer = await add_offer(pool)
    async with pool.acquire() as stuck, stuck.transaction():
        await stuck.fetchval("SELECT decision_period()")
        await add_decisions(pool, offer, ACCEPTED, utc_now())
        await count_all(pool)
        assert await counts(pool, offer) == []
    await count_all(pool)
    assert await pool.fetchval(COUNTED, offer) == 1


async def test_two_admin_services_counting_at_once_beside_the_traffic_count_each_decision_once(pool: Pool) -> None:
    offers = list((await add_offers(pool, ["A", "B", "C"])).values())
    await count_from(pool, utc_now())
    written = dict.fromkeys(offers, 0)
    chance = random.Random(20261125)

    async def write() -> None:
        for _ in range(BATCHES):
            offer, count = chance.choice(offers), chance.randint(1, 9)
            async with pool.acquire() as connection, connection.transaction():
                await connection.fetchval("SELECT decision_period()")
                decided_at = await connection.fetchval("SELECT clock_timestamp()")
                await asyncio.sleep(chance.random() / 50)
                await add_decisions(connection, offer, ACCEPTED, decided_at, count)
            written[offer] += count

    counters = [asyncio.create_task(DecisionCounter(pool).run()) for _ in range(2)]
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    for counter in counters:
        counter.cancel()
    await asyncio.gather(*counters, return_exceptions=True)
    await count_all(pool)
    assert {offer: await pool.fetchval(COUNTED, offer) for offer in offers} == written
    assert await pool.fetchval("SELECT count(*) FROM redemption_decisions") == sum(written.values())


async def test_a_counter_that_is_killed_leaves_nothing_half_counted(pool: Pool) -> None:
    offer = await add_offer(pool)
    await count_from(pool, utc_now())
    await add_decisions(pool, offer, ACCEPTED, utc_now(), 7)
    killed = DecisionCounter(pool)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await killed._step(connection, await connection.fetchval("SELECT clock_timestamp()"))
        assert await connection.fetchval(COUNTED, offer) == 7
        assert not await DecisionCounter(pool).count(), "another one leaves it alone meanwhile"
        await transaction.rollback()
    assert await pool.fetchval(COUNTED, offer) == 0
    await count_all(pool)
    assert await pool.fetchval(COUNTED, offer) == 7


async def test_a_long_backlog_is_counted_in_steps(pool: Pool) -> None:
    offer = await add_offer(pool)
    for days in range(40):
        await add_decisions(pool, offer, ACCEPTED, NOON + timedelta(days=days), 2)
    counter = DecisionCounter(pool)
    await count_from(pool, NOON)
    steps = 0
    while await counter.count():
        steps += 1
    assert 10 < steps < 60
    assert await pool.fetchval(COUNTED, offer) == 80


async def test_members_are_counted_where_their_number_changed(pool: Pool) -> None:
    offers = await add_offers(pool, ["NONE", "SOME", "LAPSING"])
    await add_members(pool, offers["SOME"], 3)
    await add_members(pool, offers["LAPSING"], 2, timedelta(hours=1))
    await add_members(pool, offers["LAPSING"], 2, timedelta(seconds=-1))
    census = Census(pool)
    assert not await census.count(), "one part is enough"
    assert {code: [row[0] for row in await pool.fetch(MEMBER_COUNTS, id_)] for code, id_ in offers.items()} == {
        "NONE": [],
        "SOME": [3],
        "LAPSING": [2],
    }
    await pool.execute("UPDATE offer_member_counts SET hour = hour - interval '3 hours'")
    await add_members(pool, offers["SOME"], 1)
    await pool.execute("DELETE FROM offer_segment_members WHERE offer_id = $1", offers["LAPSING"])
    await census.count()
    assert await pool.fetchval("SELECT count(*) FROM offer_member_counts") == 2, "no round was due yet"
    await census.count(round_s_min=0)
    assert [row[0] for row in await pool.fetch(MEMBER_COUNTS, offers["SOME"])] == [3, 4]
    assert [row[0] for row in await pool.fetch(MEMBER_COUNTS, offers["LAPSING"])] == [2, 0]
    await add_members(pool, offers["SOME"], 1)
    await census.count(round_s_min=0)
    assert [row[0] for row in await pool.fetch(MEMBER_COUNTS, offers["SOME"])] == [3, 5], "the hour's last number"


async def test_two_admin_services_share_a_round_over_all_offers(pool: Pool) -> None:
    offers = await add_offers(pool, [f"CODE-{place}" for place in range(23)])
    for place, offer in enumerate(offers.values(), start=1):
        await add_members(pool, offer, place)

    async def part_of_a_round(census: Census) -> int:
        parts = 0
        while await pool.fetchval("SELECT counted_until = 'epoch' OR after_offer_id IS NOT NULL FROM insight_progress"
                                  " WHERE task = 'members'"):  # fmt: skip
            parts += await census.count()
        return parts

    await asyncio.gather(*(part_of_a_round(Census(pool, offers_at_once=2)) for _ in range(2)))
    found = {row["offer_id"]: row["members"] for row in await pool.fetch("SELECT * FROM offer_member_counts")}
    assert found == {offer: place for place, offer in enumerate(offers.values(), start=1)}


async def test_hours_of_long_ago_are_put_together_to_days_and_lose_nothing(pool: Pool) -> None:
    offer = await add_offer(pool)
    long_ago, lately = NOON - timedelta(days=3_000), utc_now() - timedelta(hours=5)
    for at, count in (
        (long_ago, 1),
        (long_ago + timedelta(hours=2), 2),
        (long_ago + timedelta(days=1), 4),
        (lately, 8),
    ):
        await add_decisions(pool, offer, ACCEPTED, at, count)
    await count_all(pool, long_ago)
    hours = [long_ago, long_ago + timedelta(hours=3), long_ago + timedelta(days=1)]
    await pool.execute(
        "INSERT INTO offer_member_counts SELECT $1, h.hour, h.place * 10"
        " FROM unnest($2::timestamptz[]) WITH ORDINALITY AS h (hour, place)",
        offer,
        hours,
    )
    for _ in range(2):
        await Census(pool).count(round_s_min=0)
    assert [row[4:] for row in await counts(pool, offer)] == [(3, "30.00"), (4, "40.00"), (8, "80.00")]
    assert [row[0][3:] for row in await counts(pool, offer)][:2] == ["00:00", "00:00"]
    assert [row[0] for row in await pool.fetch(MEMBER_COUNTS, offer)] == [20, 30, 0]


async def test_the_services_role_sees_whose_batches_are_under_way(pool: Pool) -> None:
    async with pool.acquire() as admin, admin.transaction():
        await admin.execute("SET LOCAL ROLE offers_admin")
        async with pool.acquire() as worker, worker.transaction():
            await worker.execute("SET LOCAL ROLE offers_redemption")
            await worker.fetchval("SELECT decision_period()")
            assert len(await admin.fetch(queries.batches_under_way)) == 1
        assert await admin.fetch(queries.batches_under_way) == []
