"""Services killed with SIGKILL in mid-traffic, restarted by the supervisor: nothing lost, nothing twice."""

import asyncio
import os
import random
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

from deploy.verification import verify_settled
from shared.client import EventPublisher, RedemptionClient
from shared.database import connect, create_pool
from shared.errors import DeliveryError, RequestTimeout
from shared.events.redemption_replies import RedemptionReply
from shared.events.redemption_requests import RedeemRequest
from shared.events.topups import TopupEvent
from shared.settings import DatabaseSettings
from tests.support.campaign import add_offer
from tests.support.seed import printed_seed
from tests.support.stack import RunningStack, running_stack
from tests.support.waiting import until

LIMIT, REQUESTS, TOPUPS = 300, 900, 600
OPERATOR = uuid4()


async def asked_until_answered(client: RedemptionClient, request: RedeemRequest) -> RedemptionReply:
    """A checkout's patience: the same request again until there is an answer."""
    for _ in range(30):
        try:
            return await client.send(request, timeout_s=3)
        except (RequestTimeout, DeliveryError):
            continue
    raise AssertionError(f"request {request.request_id} was never answered")


async def kill_each_service(stack: RunningStack, chance: random.Random) -> None:
    """Every process of every service, one after the other, each at a random moment of the traffic."""
    victims = [(name, pid) for name, pids in stack.ready["pids"].items() for pid in pids]
    chance.shuffle(victims)
    for name, pid in victims:
        await asyncio.sleep(chance.uniform(0.1, 0.7))
        os.kill(pid, signal.SIGKILL)
        print(f"killed {name} ({pid})")  # noqa: T201 - shown when the test fails


async def publish_topups(publisher: EventPublisher, people: list[UUID], pace_s: float) -> None:
    for place in range(TOPUPS):
        event = TopupEvent(
            event_id=uuid4(),
            type="topup.succeeded",
            topup_id=uuid4(),
            user_id=people[place % len(people)],
            operator_id=OPERATOR,
            amount=Decimal("10.00"),
            occurred_at=datetime.now(UTC) - timedelta(minutes=place),
        )
        await publisher.topup(event)
        await asyncio.sleep(pace_s)


async def redeem_all(client: RedemptionClient, requests: list[RedeemRequest], pace_s: float) -> list[RedemptionReply]:
    asking: list[asyncio.Task[RedemptionReply]] = []
    for request in requests:
        asking.append(asyncio.create_task(asked_until_answered(client, request)))
        await asyncio.sleep(pace_s)
    return list(await asyncio.gather(*asking))


async def test_every_request_is_answered_and_the_books_are_right(tmp_path: Path) -> None:
    chance = random.Random(printed_seed())
    async with running_stack(tmp_path, "--workers", "2") as stack:
        settings = DatabaseSettings(database_url=stack.ready["database_url"])
        async with (
            create_pool(settings, "test") as pool,
            RedemptionClient(stack.kafka) as client,
            EventPublisher(stack.kafka) as publisher,
        ):
            limited = await add_offer(pool, None, code="LIMITED", total_usage_limit=LIMIT)
            ruled = await add_offer(pool, [{"rule_type": "min_topups", "params": {"count": 3, "window_days": 30}}])
            people = [uuid4() for _ in range(150)]
            requests = [
                RedeemRequest(
                    request_id=uuid4(),
                    user_id=chance.choice(people),
                    unit_price=Decimal("100.00"),
                    offer_id=[limited, ruled, None][place % 3],
                    code="LIMITED" if place % 3 == 2 else None,
                )
                for place in range(REQUESTS)
            ]
            replies, *_ = await asyncio.gather(
                redeem_all(client, requests, pace_s=0.005),
                publish_topups(publisher, people, pace_s=0.007),
                kill_each_service(stack, chance),
            )
            await until(pool, "SELECT count(*) FROM topup_requests", TOPUPS)
            again = await asyncio.gather(*(asked_until_answered(client, request) for request in requests))
            assert again == replies
            of_limited = [reply for reply in replies if reply.offer_id == limited]
            assert [reply.status for reply in of_limited].count("accepted") == LIMIT
            assert [reply.reason for reply in of_limited].count("offer_exhausted") == 600 - LIMIT
            assert await pool.fetchval("SELECT usage_count FROM offers WHERE id = $1", limited) == LIMIT
            assert await pool.fetchval("SELECT count(*) FROM redemption_decisions") == REQUESTS
            assert await pool.fetchval("SELECT count(*) FROM offer_segment_members") == 150
            connection = await connect(settings)
            checks = await verify_settled(connection, wait_s=40)
            await connection.close()
            assert [breach for check in checks for breach in check.breaches] == []
            assert await pool.fetchval("SELECT count(*) FROM audit_log WHERE type LIKE 'redemption.%'") == REQUESTS
