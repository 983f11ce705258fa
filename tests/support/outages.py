"""Traffic of every kind that outlasts outages, and a broker that can be away without losing its log."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

from deploy.embedded.kafka import ApacheKafka
from deploy.embedded.server import KafkaServer
from shared.client import EventPublisher, RedemptionClient
from shared.clock import utc_now
from shared.errors import DeliveryError, RequestTimeout
from shared.events.redemption_replies import RedemptionReply
from shared.events.redemption_requests import RedeemRequest
from shared.events.topups import TopupEvent
from tests.support.metrics import until_true

PACE_S = 0.02
AGAIN_S = 0.5
PATIENCE = 300
"""An outage may last some minutes, and a client without a broker says so at once."""


@asynccontextmanager
async def away(broker: KafkaServer, folder: Path) -> AsyncIterator[None]:
    """Apache Kafka is stopped and started again. Tansu's log is in memory: its process is only held up."""
    if isinstance(broker, ApacheKafka):
        await broker.stop()
        yield
        await broker.start(folder)
        return
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


@dataclass
class Traffic:
    """Checkouts and upstream services that ask and publish, again until they are heard, while told to go on."""

    client: RedemptionClient
    events: EventPublisher
    offer: UUID
    people: list[UUID]
    replies: list[RedemptionReply] = field(default_factory=list)
    topups: int = 0
    over: bool = False

    async def run(self) -> None:
        """Send both kinds until `over`, and see each answered or taken."""
        async with asyncio.TaskGroup() as sending:
            topping_up = sending.create_task(self._publish())
            while not self.over:
                sending.create_task(self._redeem())
                await asyncio.sleep(PACE_S)
            await topping_up

    async def until_more(self, count: int) -> None:
        """Wait until so many more requests were answered and topups taken."""
        replies, topups = len(self.replies) + count, self.topups + count

        async def look() -> bool:
            return len(self.replies) >= replies and self.topups >= topups

        await until_true(look, f"{count} more replies and topups")

    async def _redeem(self) -> None:
        request = RedeemRequest(request_id=uuid4(), user_id=uuid4(), offer_id=self.offer, unit_price=Decimal("10.00"))
        for _ in range(PATIENCE):
            try:
                self.replies.append(await self.client.send(request, timeout_s=3))
                return
            except (RequestTimeout, DeliveryError):
                await asyncio.sleep(AGAIN_S)
        raise AssertionError(f"request {request.request_id} was never answered")

    async def _publish(self) -> None:
        while not self.over:
            await self._topup(self.people[self.topups % len(self.people)])
            self.topups += 1
            await asyncio.sleep(PACE_S)

    async def _topup(self, user: UUID) -> None:
        event = TopupEvent(
            event_id=uuid4(),
            type="topup.succeeded",
            topup_id=uuid4(),
            user_id=user,
            operator_id=uuid4(),
            amount=Decimal("10.00"),
            occurred_at=utc_now() - timedelta(minutes=1),
        )
        for _ in range(PATIENCE):
            try:
                async with asyncio.timeout(3):
                    return await self.events.topup(event)
            except (DeliveryError, TimeoutError):
                await asyncio.sleep(AGAIN_S)
        raise AssertionError(f"topup {event.topup_id} was never taken")
