"""The whole life of segments on a clock the test sets: events, edits, rebuilds and lapses in any order.

After every step the stored memberships, the events told of them and what checkouts are answered are held
against the SQL reference at that instant. SEGMENT_LIFE_EXAMPLES sets how many lives are tried.
"""

import os
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings

from tests.properties.segment_strategies import OFFERS, USERS, lives
from tests.support.clock import ClockedDatabase, clocked_database
from tests.support.read_models import stored_topups, stored_users
from tests.support.segment_sights import Checkouts, Pair, Sight, look, segment_events
from tests.support.segment_steps import AT_ONCE, REBUILD_ALL, Lapses, Nothing, Step
from tests.support.segment_story import Story
from tests.support.segment_world import Done, World

EXAMPLES = int(os.environ.get("SEGMENT_LIFE_EXAMPLES", "80"))
END = [Step(AT_ONCE, REBUILD_ALL), Step(AT_ONCE, Lapses())]


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[ClockedDatabase]:
    async with clocked_database(empty_database_url) as clocked:
        yield clocked


async def test_every_clock_of_the_database_is_the_tests(database: ClockedDatabase) -> None:
    moment = datetime(2031, 5, 6, 7, 8, 9, 123457, tzinfo=UTC)
    await database.set(moment)
    clocks = await database.pool.fetchrow(
        "SELECT now(), clock_timestamp(), statement_timestamp(), transaction_timestamp()"
    )
    assert clocks is not None
    assert set(clocks) == {moment}
    stored = "INSERT INTO outbox (topic, message_keys, messages) VALUES ('', '{}', '{}') RETURNING created_at"
    assert await database.pool.fetchval(stored) == moment


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(steps=lives())
async def test_rows_events_and_answers_agree_with_the_reference_at_every_step(
    database: ClockedDatabase, steps: list[Step]
) -> None:
    world, story, checkouts = World(database, USERS, OFFERS), Story(), Checkouts(database.pool)
    await world.begin()
    for step in [*steps, *END]:
        await world.wait(step.wait)
        before = await look(world.pool, world.users)
        done = await world.do(step.do)
        after = before if isinstance(step.do, Nothing) else await look(world.pool, world.users)
        for sight in after.values():
            check_row(sight, done, world.now)
        story.go_on(before, after, done, world.now, await segment_events(world.pool, len(story.event_ids)))
        await check_answers(checkouts, "redeem", after)
        if done.users:
            await check_read_models(world)
    await check_answers(checkouts, "quote", await look(world.pool, world.users))


def check_row(sight: Sight, done: Done, now: datetime) -> None:
    """A row never promises more than the reference says; once all is settled it promises no less than now."""
    assert sight.eligible == (sight.until is not None), sight
    promises = sight.row_until is not None and sight.row_until > now
    proves = sight.row_version == sight.rules_version
    if promises and proves:
        assert sight.eligible, sight
        assert sight.row_until is not None
        assert sight.until is not None
        assert sight.row_until <= sight.until, sight
    if sight.current and sight.member:
        assert proves, sight
    if sight.current and (done.lapsed or sight.user_id in done.users):
        assert promises == sight.member, sight
    if done.lapsed:
        assert sight.row_until is None or promises, sight


async def check_answers(
    checkouts: Checkouts, command: Literal["redeem", "quote"], sights: Mapping[Pair, Sight]
) -> None:
    """Checkouts are told what the reference says. A redeem rests on the stored row where that proves something."""
    assert await checkouts.refusals(command, list(sights)) == {pair: sight.refusal for pair, sight in sights.items()}


async def check_read_models(world: World) -> None:
    """Topups and users are stored as their events, taken together, say."""
    assert await stored_topups(world.pool) == world.read_models.topup_rows()
    assert await stored_users(world.pool) == world.read_models.user_rows()
