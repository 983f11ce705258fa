"""Testing a user against the SQL reference: now, at a date to come, and in a past that knew nothing of later."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.admin.judging import judge_offer, judge_rules
from services.admin.user_models import Trial, Verdict
from shared.database import Connection
from tests.properties.strategies import NOW, moments
from tests.properties.worlds import ALLOWED_ROLE, OFFER, World, store, worlds
from tests.support.clock import ClockedDatabase, clocked_database

USERS = [UUID(int=user) for user in (11, 12)]
REFERENCE = """
SELECT eligibility_valid_until($1, $2, $3) IS NOT NULL AS eligible, offer_allows_user($1, $2) AS allowed,
    nullif(eligibility_valid_until($1, $2, $3), 'infinity') AS valid_until,
    ARRAY(
        SELECT jsonb_build_object(
            'rule_key', e.rule_key, 'rule_type', e.rule_type, 'passed', e.passed, 'required', e.required,
            'actual', e.actual, 'valid_until', nullif(e.valid_until, 'infinity'), 'missing', e.missing
        ) FROM explain_eligibility($1, $2, $3) AS e
    ) AS rules
"""


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[ClockedDatabase]:
    """A database for which it is NOW."""
    async with clocked_database(empty_database_url) as clocked:
        await clocked.set(NOW)
        yield clocked


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(world=worlds(USERS, rules_min=0), at=st.none() | moments())
async def test_every_verdict_is_the_reference_s_on_what_was_known_then(
    database: ClockedDatabase, world: World, at: datetime | None
) -> None:
    async with database.pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        try:
            await store(connection, world)
            found = [await judged(connection, world, user, at) for user in USERS]
            if at is not None and at < NOW:
                await forget_what_came_after(connection, at)
            for user, (stored, unsaved) in zip(USERS, found, strict=True):
                assert stored == unsaved == await reference(connection, user, at or NOW)
        finally:
            await undone.rollback()


async def judged(
    connection: Connection, world: World, user: UUID, at: datetime | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The verdict on the stored offer, and that on the same rules unsaved."""
    stored = await judge_offer(connection, OFFER, user, at)
    assert stored is not None
    trial = {
        "user_id": user,
        "at": at,
        "allow_all": world.allow_all,
        "eligibility_logic": world.logic,
        "allowed_users": [world.users[0]],
        "allowed_roles": [ALLOWED_ROLE],
        "rules": [rule | {"rule_key": f"rule-{place}"} for place, rule in enumerate(world.rules)],
    }
    return comparable(stored), comparable(await judge_rules(connection, Trial.model_validate(trial)))


def comparable(verdict: Verdict) -> dict[str, Any]:
    shown = verdict.model_dump(include={"eligible", "allowed", "valid_until"})
    return shown | {"rules": [rule.model_dump(mode="json", exclude={"sentence"}) for rule in verdict.rules]}


async def forget_what_came_after(connection: Connection, at: datetime) -> None:
    await connection.execute("DELETE FROM topup_requests WHERE occurred_at > $1", at)
    await connection.execute("UPDATE users SET created_at = NULL WHERE created_at > $1", at)


async def reference(connection: Connection, user: UUID, at: datetime) -> dict[str, Any]:
    row = await connection.fetchrow(REFERENCE, OFFER, user, at)
    assert row is not None
    rules = [rule | {"valid_until": in_utc(rule["valid_until"])} for rule in row["rules"]]
    return {**row, "rules": rules}


def in_utc(moment: str | None) -> str | None:
    return None if moment is None else moment.replace("+00:00", "Z")
