"""validity.py against the SQL reference: random histories, rules, allow-lists and clocks."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.segmenter.membership import evaluate
from services.segmenter.store import CatalogueReader, load_users, lock_users
from shared.clock import from_us, to_us
from shared.database import Connection, Pool
from shared.histories import load_histories
from shared.validity import ALWAYS, NEVER
from tests.properties.strategies import NOW, TICK, moments, rules, topups

OFFER = UUID(int=100)
USERS = [UUID(int=user) for user in (11, 12, 13)]


@dataclass(frozen=True)
class World:
    """An offer's rules and the users it is asked about."""

    logic: str
    rules: list[dict[str, Any]]
    allow_all: bool
    roles: list[list[str]]
    registered: list[datetime | None]
    histories: list[list[dict[str, Any]]]


worlds = st.builds(
    World,
    logic=st.sampled_from(["all", "any"]),
    rules=st.lists(rules(), min_size=1, max_size=4),
    allow_all=st.booleans(),
    roles=st.lists(st.sampled_from([[], ["agent"], ["agent", "staff"]]), min_size=3, max_size=3),
    registered=st.lists(st.one_of(st.none(), moments()), min_size=3, max_size=3),
    histories=st.lists(st.lists(topups(), max_size=6), min_size=3, max_size=3),
)


async def store(connection: Connection, world: World) -> None:
    await connection.execute(
        """INSERT INTO offers (id, code, title, status, discount_type, discount_value, allow_all, eligibility_logic)
           VALUES ($1, 'ANY', 'Any', 'active', 'percentage', 10, $2, $3)""",
        OFFER,
        world.allow_all,
        world.logic,
    )
    await connection.execute("INSERT INTO offer_allowed_roles VALUES ($1, 'staff')", OFFER)
    await connection.execute("INSERT INTO offer_allowed_users VALUES ($1, $2)", OFFER, USERS[0])
    for place, rule in enumerate(world.rules):
        await connection.execute(
            "INSERT INTO offer_eligibility_rules (offer_id, rule_key, rule_type, params) VALUES ($1, $2, $3, $4)",
            OFFER,
            f"rule-{place}",
            rule["rule_type"],
            rule["params"],
        )
    for user, roles, registered, history in zip(USERS, world.roles, world.registered, world.histories, strict=True):
        await connection.execute(
            "INSERT INTO users (id, created_at, roles) VALUES ($1, $2, $3)", user, registered, roles
        )
        for topup in history:
            await connection.execute(
                """INSERT INTO topup_requests (id, user_id, operator_id, kind, amount, status, occurred_at)
                   VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6)""",
                user,
                topup["operator_id"],
                topup["kind"],
                Decimal(topup["amount"]),
                topup["status"],
                topup["occurred_at"],
            )


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(world=worlds)
async def test_both_engines_agree_at_every_instant(pool: Pool, world: World) -> None:
    """The arrays' one number is the reference's answer now, and just before and after it lapses."""
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        try:
            await store(connection, world)
            catalogue = await CatalogueReader().read(connection)
            users = await load_users(connection, USERS, catalogue.offers)
            locked = await lock_users(connection, USERS)
            histories = await load_histories(connection, USERS, locked.registered_us)
            (valid_until_us,) = evaluate(catalogue, users, histories)
            for user, until_us in zip(USERS, valid_until_us, strict=True):
                await assert_agreement(connection, user, int(until_us))
        finally:
            await transaction.rollback()


async def assert_agreement(connection: Connection, user: UUID, until_us: int) -> None:
    def asked(moment: datetime) -> Any:
        return connection.fetchval("SELECT eligibility_valid_until($1, $2, $3)", OFFER, user, moment)

    now_says = await asked(NOW)
    eligible_now = until_us > to_us(NOW)
    assert (now_says is not None) == eligible_now
    if until_us == ALWAYS:
        assert await connection.fetchval("SELECT $1::timestamptz = 'infinity'", now_says)
    elif until_us != NEVER and np.abs(until_us) < 2**60:
        lapse = from_us(until_us)
        assert await asked(lapse) is None
        assert await asked(lapse - TICK) == lapse
        if eligible_now:
            assert now_says == lapse
