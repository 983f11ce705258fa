"""Previews against the SQL reference: random users, histories, rules and allow-lists, on a clock the test sets."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.admin.models import Preview
from services.admin.previewing import preview
from shared.database import Pool
from tests.properties.strategies import NOW
from tests.properties.worlds import ALLOWED_ROLE, OFFER, World, store, worlds
from tests.support.clock import ClockedDatabase, clocked_database

# The least and the greatest id there are, and some that end in zero bytes, which numpy takes for padding.
USERS = [UUID(int=number) for number in (0, 1, 256, 1 << 64, 255 << 120, 2**128 - 1)]

REFERENCE = """
SELECT u.id, is_user_eligible_for_offer($1, u.id) AS eligible, offer_allows_user($1, u.id) AS allowed,
    ARRAY(SELECT e.passed FROM explain_eligibility($1, u.id) AS e) AS passed
FROM users AS u ORDER BY u.id
"""


@pytest.fixture
async def database(empty_database_url: str) -> AsyncIterator[ClockedDatabase]:
    """A database for which it is NOW."""
    async with clocked_database(empty_database_url) as clocked:
        await clocked.set(NOW)
        yield clocked


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(world=worlds(USERS, rules_min=0), chunk_users=st.integers(1, 4), sample_size=st.integers(0, 7))
async def test_a_preview_says_what_the_reference_says_of_each_user_and_rule(
    database: ClockedDatabase, world: World, chunk_users: int, sample_size: int
) -> None:
    async with database.pool.acquire() as connection:
        await connection.execute("TRUNCATE offers, offer_allowed_roles, users, topup_requests CASCADE")
        await store(connection, world)
    found = await preview(database.pool, wanted(world, sample_size), 60.0, chunk_users)
    assert found.model_dump() == await expected(database.pool, world, sample_size)


def wanted(world: World, sample_size: int) -> Preview:
    return Preview.model_validate(
        {
            "allow_all": world.allow_all,
            "eligibility_logic": world.logic,
            "allowed_users": [world.users[0]],
            "allowed_roles": [ALLOWED_ROLE],
            "rules": [rule | {"rule_key": f"rule-{place}"} for place, rule in enumerate(world.rules)],
            "sample_size": sample_size,
            "compared_to": {"allow_all": False, "allowed_roles": [ALLOWED_ROLE]},
        }
    )


async def expected(pool: Pool, world: World, sample_size: int) -> dict[str, Any]:
    rows = await pool.fetch(REFERENCE, OFFER)
    eligible = [row["id"] for row in rows if row["eligible"]]
    holders = sorted(user for user, roles in zip(world.users, world.roles, strict=True) if ALLOWED_ROLE in roles)
    entering = [user for user in eligible if user not in holders]
    leaving = [user for user in holders if user not in eligible]
    return {
        "total_users": len(world.users),
        "allowed": sum(row["allowed"] for row in rows),
        "matching": len(eligible),
        "rules": [
            {
                "rule_key": f"rule-{place}",
                "rule_type": rule["rule_type"],
                "matching": sum(row["passed"][place] for row in rows),
            }
            for place, rule in enumerate(world.rules)
        ],
        "sample": eligible[:sample_size],
        "comparison": {
            "matching": len(holders),
            "entering": len(entering),
            "leaving": len(leaving),
            "entering_sample": entering[:sample_size],
            "leaving_sample": leaving[:sample_size],
        },
    }
