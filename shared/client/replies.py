"""Reads one partition of the reply topic and hands each reply to the call that waits for it.

Every client reads a partition without a consumer group, from its end: other clients may share the
partition, so a reply with an unknown correlation id is theirs, or came too late, and is passed over.
"""

import asyncio
import contextlib
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from shared.batches import KafkaRecord, error_text
from shared.broker import client_options
from shared.client.errors import ClientClosed, UnreadableReply
from shared.errors import DeliveryError
from shared.events.redemption_replies import RedemptionReply
from shared.settings import KafkaSettings
from shared.telemetry import get_logger

READ_WAIT_MS = 1_000
RETRY_PAUSE_S = 0.5
START_TIMEOUT_S = 30.0

log = get_logger(__name__)


class ReplyReader:
    """The calls under way by correlation id, and the task that answers them."""

    def __init__(self, settings: KafkaSettings, topic: str, partition: int) -> None:
        """`topic` is the full name, as the cluster knows it."""
        self._partition = TopicPartition(topic, partition)
        self._consumer = AIOKafkaConsumer(
            **client_options(settings),
            client_id="offers-client",
            group_id=None,
            enable_auto_commit=False,
            # Only for a position that no longer exists: rather see old replies than miss one.
            auto_offset_reset="earliest",
            fetch_max_wait_ms=settings.kafka_fetch_wait_ms_max,
        )
        self._waiting: dict[bytes, asyncio.Future[RedemptionReply]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Stand at the end of the partition; replies to requests sent from now on are seen.

        Raises:
            DeliveryError: if the partition can't be read.
        """
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._consumer.start()
                self._consumer.assign([self._partition])
                await self._consumer.seek_to_end(self._partition)
                await self._consumer.position(self._partition)
        except (KafkaError, TimeoutError) as error:
            await self._consumer.stop()
            raise DeliveryError(f"replies can't be read from {self._partition.topic}: {error!r}") from error
        self._task = asyncio.create_task(self._read(), name="redemption replies")

    async def stop(self) -> None:
        """Stop reading; calls under way fail with ClientClosed."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ClientClosed("the client was closed before the reply arrived"))
        await self._consumer.stop()

    def expect(self) -> tuple[bytes, asyncio.Future[RedemptionReply]]:
        """A new correlation id and the future of its reply.

        Raises:
            ClientClosed: if nobody reads replies.
        """
        if self._task is None:
            raise ClientClosed("the client is not open")
        correlation_id = uuid4().hex.encode()
        future: asyncio.Future[RedemptionReply] = asyncio.get_running_loop().create_future()
        self._waiting[correlation_id] = future
        return correlation_id, future

    def forget(self, correlation_id: bytes) -> None:
        """No call waits for this reply any more."""
        self._waiting.pop(correlation_id, None)

    async def _read(self) -> None:
        while True:
            try:
                found = await self._consumer.getmany(self._partition, timeout_ms=READ_WAIT_MS)
            except KafkaError as error:
                log.warning("replies not read", action="reply.read_failed", error=repr(error))
                await asyncio.sleep(RETRY_PAUSE_S)
                continue
            for records in found.values():
                for record in records:
                    self._deliver(record)

    def _deliver(self, record: KafkaRecord) -> None:
        future = self._waiting.get(_correlation_id(record))
        if future is None or future.done():
            return
        try:
            future.set_result(RedemptionReply.model_validate_json(record.value or b""))
        except ValidationError as error:
            future.set_exception(UnreadableReply(f"the reply can't be read: {error_text(error)}"))


def _correlation_id(record: KafkaRecord) -> bytes:
    for name, value in record.headers:
        if name == "correlation_id" and value:
            return bytes(value)
    return b""
