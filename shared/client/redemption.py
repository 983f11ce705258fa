"""The checkout's client: sends redemption requests and returns their replies, any number at a time."""

import asyncio
import contextlib
import random
from datetime import datetime, timedelta
from decimal import Decimal
from types import TracebackType
from uuid import UUID, uuid4

from shared.broker import Outgoing, Publisher
from shared.client.replies import ReplyReader
from shared.clock import utc_now
from shared.errors import ConfigurationError, RequestTimeout
from shared.events.redemption_replies import RedemptionReply
from shared.events.redemption_requests import QuoteRequest, RedeemRequest, RevokeRequest
from shared.settings import KafkaSettings
from shared.topics import REDEMPTION_REPLIES, REDEMPTION_REQUESTS
from shared.tracing import current_headers

Request = RedeemRequest | QuoteRequest | RevokeRequest

TIMEOUT_S = 10.0
RETRIES = 1
TOPIC_LOOKS = 20
TOPIC_LOOK_EVERY_S = 0.15


class RedemptionClient:
    """An open client; use it as an async context manager, one for the whole process.

    A call waits `timeout_s` for its reply, which is also the request's deadline: what is decided later uses
    nothing up. A timeout leaves open whether it was decided before, so the call then asks once more, under the
    same request_id, and is told what became of it: that it was decided in time, or `deadline_passed`.

    Every call raises RequestTimeout if no reply arrives to that either, DeliveryError if Kafka doesn't take the
    request, ClientClosed if the client is closed meanwhile. After any of these the request may have been
    decided: call again with the same request_id to learn how. A refusal is a reply, not an error.

    A call made within an OpenTelemetry span is part of its trace, down to the audit row.
    """

    def __init__(self, settings: KafkaSettings, reply_partition: int | None = None) -> None:
        """`reply_partition`: the partition of redemption.replies to be answered on, random unless given."""
        self._settings = settings
        self._publisher = Publisher(settings, "client")
        self._reply_topic = settings.kafka_topic_prefix + REDEMPTION_REPLIES
        self._reply_partition = reply_partition
        self._reader: ReplyReader | None = None

    async def __aenter__(self) -> "RedemptionClient":
        await self._publisher.start()
        try:
            partition = self._reply_partition = await self._choose_partition()
            reader = ReplyReader(self._settings, self._reply_topic, partition)
            await reader.start()
        except BaseException:
            await self._publisher.stop()
            raise
        self._reader = reader
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the client; calls under way fail with ClientClosed."""
        if self._reader is not None:
            await self._reader.stop()
        await self._publisher.stop()

    async def _choose_partition(self) -> int:
        count = await self._partition_count()
        if self._reply_partition is None:
            return random.randrange(count)
        if not 0 <= self._reply_partition < count:
            raise ConfigurationError(
                f"reply partition {self._reply_partition}: {self._reply_topic} has partitions 0 to {count - 1}"
            )
        return self._reply_partition

    async def _partition_count(self) -> int:
        """How many partitions replies have. Brokers may take a moment to know a topic just created."""
        for _ in range(TOPIC_LOOKS):
            count = (await self._publisher.partition_counts()).get(self._reply_topic, 0)
            if count:
                return count
            await asyncio.sleep(TOPIC_LOOK_EVERY_S)
        raise ConfigurationError(f"topic {self._reply_topic} does not exist: `offers topics` creates it")

    async def redeem(
        self,
        user_id: UUID,
        unit_price: Decimal,
        *,
        offer_id: UUID | None = None,
        code: str | None = None,
        quantity: int = 1,
        operator_product_id: UUID | None = None,
        supplier_product_mapping_id: UUID | None = None,
        request_id: UUID | None = None,
        deadline: datetime | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
    ) -> RedemptionReply:
        """Use an offer, named by `offer_id` or `code`, on a purchase.

        `request_id` is the idempotency key: pass your own to be able to ask again. `deadline` is the end of the
        timeout unless given.
        """
        request = RedeemRequest(
            request_id=request_id or uuid4(),
            offer_id=offer_id,
            code=code,
            user_id=user_id,
            operator_product_id=operator_product_id,
            supplier_product_mapping_id=supplier_product_mapping_id,
            quantity=quantity,
            unit_price=unit_price,
            deadline=deadline or _deadline(timeout_s),
        )
        return await self.send(request, timeout_s, retries)

    async def quote(
        self,
        user_id: UUID,
        unit_price: Decimal,
        *,
        offer_id: UUID | None = None,
        code: str | None = None,
        quantity: int = 1,
        operator_product_id: UUID | None = None,
        supplier_product_mapping_id: UUID | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
    ) -> RedemptionReply:
        """What `redeem` would say, with nothing used up; without an offer, every offer the user could use."""
        request = QuoteRequest(
            command="quote",
            request_id=uuid4(),
            offer_id=offer_id,
            code=code,
            user_id=user_id,
            operator_product_id=operator_product_id,
            supplier_product_mapping_id=supplier_product_mapping_id,
            quantity=quantity,
            unit_price=unit_price,
            deadline=_deadline(timeout_s),
        )
        return await self.send(request, timeout_s, retries)

    async def revoke(
        self,
        *,
        redemption_id: UUID | None = None,
        redeem_request_id: UUID | None = None,
        reason: str | None = None,
        request_id: UUID | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = RETRIES,
    ) -> RedemptionReply:
        """Cancel a redemption, named by its id or by the request that redeemed."""
        request = RevokeRequest(
            command="revoke",
            request_id=request_id or uuid4(),
            redemption_id=redemption_id,
            redeem_request_id=redeem_request_id,
            reason=reason,
            deadline=_deadline(timeout_s),
        )
        return await self.send(request, timeout_s, retries)

    async def send(self, request: Request, timeout_s: float = TIMEOUT_S, retries: int = 0) -> RedemptionReply:
        """Send a request as it is, again after each of `retries` timeouts, and return the reply to it.

        Raises:
            RequestTimeout, DeliveryError, ClientClosed: see the class.
        """
        assert self._reader is not None, "open the client first: async with RedemptionClient(…)"
        correlation_id, reply = self._reader.expect()
        message = self._message(request, correlation_id)
        try:
            for _ in range(retries + 1):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(timeout_s):
                        await self._publisher.publish_all([message])
                        return await asyncio.shield(reply)
        finally:
            self._reader.forget(correlation_id)
        times = f", asked {retries + 1} times" if retries else ""
        raise RequestTimeout(f"no reply to the {request.command} {request.request_id} within {timeout_s:g} s{times}")

    def _message(self, request: Request, correlation_id: bytes) -> Outgoing:
        assert self._reply_partition is not None
        return request_message(request, correlation_id, self._reply_topic, self._reply_partition)


def _deadline(timeout_s: float) -> datetime:
    return utc_now() + timedelta(seconds=timeout_s)


def request_message(request: Request, correlation_id: bytes, reply_topic: str, reply_partition: int) -> Outgoing:
    """The request as a checkout sends it; `reply_topic` is the full name, as the cluster knows it."""
    headers = [
        ("correlation_id", correlation_id),
        ("reply_to", reply_topic.encode()),
        ("reply_partition", str(reply_partition).encode()),
        *current_headers(),
    ]
    return Outgoing(REDEMPTION_REQUESTS, _key(request).encode(), request.to_bytes(), headers)


def _key(request: Request) -> str:
    """What keeps requests in order: those of one offer meet in one partition."""
    if isinstance(request, RevokeRequest):
        return str(request.redemption_id or request.redeem_request_id or request.request_id)
    return str(request.offer_id or request.code or request.request_id)
