"""Copies of one request in two workers' hands at once, where no offer's lock puts them in order."""

import asyncio
from uuid import uuid4

import orjson
from aiokafka import ConsumerRecord

from services.redemption.handler import RedemptionHandler
from services.redemption.requests import Request, read_request
from services.redemption.routing import ReplyRouter
from shared.batches import Received
from shared.broker import Publisher
from shared.database import Pool
from shared.topics import REDEMPTION_REQUESTS
from tests.support.requests import redeem
from tests.support.waiting import until

LOCK_AWAITED = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


def received(value: bytes) -> Received[Request]:
    """The request as a consumer hands it on."""
    return Received(
        read_request(value), ConsumerRecord(REDEMPTION_REQUESTS, 0, 0, 0, 0, None, value, None, 0, len(value), ())
    )


async def test_a_request_that_another_worker_is_storing_gets_the_answer_stored_there(
    pool: Pool, publisher: Publisher
) -> None:
    handle = RedemptionHandler(pool, ReplyRouter(publisher), "")
    request = received(orjson.dumps(redeem(uuid4())))
    told = await handle([request])
    async with pool.acquire() as other:
        await other.execute("CREATE TABLE kept AS TABLE redemption_decisions")
        await other.execute("DELETE FROM redemption_decisions")
        async with other.transaction():
            await other.execute("INSERT INTO redemption_decisions TABLE kept")
            asked = asyncio.create_task(handle([request]))
            await until(pool, LOCK_AWAITED, True)
        assert [message.value for message in await asked][:1] == [message.value for message in told][:1]
