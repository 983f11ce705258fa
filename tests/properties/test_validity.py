"""validity.py against the SQL reference: random histories, rules, allow-lists and clocks."""

from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from hypothesis import HealthCheck, given, settings

from services.segmenter.membership import evaluate
from services.segmenter.store import CatalogueReader, load_users, lock_users
from shared.clock import from_us, to_us
from shared.database import Connection, Pool
from shared.histories import load_histories
from shared.validity import ALWAYS, NEVER
from tests.properties.strategies import NOW, TICK
from tests.properties.worlds import OFFER, World, store, worlds

USERS = [UUID(int=user) for user in (11, 12, 13)]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(world=worlds(USERS, rules_min=1))
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
