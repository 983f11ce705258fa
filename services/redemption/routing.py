"""Where a reply goes: the topic and partition its request names, if the cluster has them.

A topic nobody has must not hold up the answers of its neighbours: it is looked up once a while, and the
reply goes to redemption.replies instead. So it does if a request names a topic of the system's own, which a
checkout may not write, or one of Kafka's own: this service must not write there for it.
"""

import time
from collections.abc import Iterable
from uuid import UUID

from shared.batches import KafkaRecord
from shared.broker import Headers, Outgoing, Publisher
from shared.telemetry import get_logger
from shared.topics import ALL, REDEMPTION_REPLIES

INTERNAL = "__"
KNOWN_S = 300.0
UNKNOWN_S = 10.0
TOPICS_MAX = 10_000
PARTITION_DIGITS_MAX = 9
"""Kafka counts partitions in 32 bits; Python refuses to read numbers of thousands of digits."""

log = get_logger(__name__)


class ReplyRouter:
    """Knows which reply topics exist and how many partitions they have."""

    def __init__(self, publisher: Publisher, prefix: str = "") -> None:
        """`prefix`: that of our topics."""
        self._publisher = publisher
        self._closed = {prefix + topic for topic in ALL if topic != REDEMPTION_REPLIES}
        self._partitions: dict[str, tuple[int, float]] = {}

    async def learn(self, records: Iterable[KafkaRecord]) -> None:
        """Look up the reply topics of these requests that aren't known yet, all at once."""
        now = time.monotonic()
        if len(self._partitions) > TOPICS_MAX:
            self._partitions.clear()
        named = {topic for topic in map(_reply_to, records) if topic is not None}
        unknown = [topic for topic in named if self._partitions.get(topic, (0, 0.0))[1] < now]
        counts = await self._publisher.partition_counts() if unknown else {}
        for topic in unknown:
            count = 0 if topic in self._closed or topic.startswith(INTERNAL) else counts.get(topic, 0)
            self._partitions[topic] = (count, now + (KNOWN_S if count else UNKNOWN_S))
            if not count:
                log.warning("reply topic unknown or not for replies", action="reply.topic_unknown", topic=topic)

    def reply(self, record: KafkaRecord, request_id: UUID, value: str, trace: Headers = ()) -> Outgoing:
        """The reply to a request, with its correlation id and its trace."""
        headers = [*((name, data) for name, data in record.headers if name == "correlation_id"), *trace]
        key = str(request_id).encode()
        topic = _reply_to(record)
        count = self._partitions.get(topic, (0, 0.0))[0] if topic is not None else 0
        if topic is None or not count:
            return Outgoing(REDEMPTION_REPLIES, key, value.encode(), headers)
        partition = _reply_partition(record, count)
        return Outgoing(topic, key, value.encode(), headers, partition, exact_topic=True)


def _header(record: KafkaRecord, wanted: str) -> str | None:
    for name, data in record.headers:
        if name == wanted and data:
            return bytes(data).decode(errors="replace")
    return None


def _reply_to(record: KafkaRecord) -> str | None:
    return _header(record, "reply_to")


def _reply_partition(record: KafkaRecord, count: int) -> int | None:
    text = _header(record, "reply_partition")
    if text is None or not text.isdecimal() or len(text) > PARTITION_DIGITS_MAX or int(text) >= count:
        return None
    return int(text)
