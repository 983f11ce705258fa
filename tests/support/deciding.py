"""Redemption requests decided without a broker: their messages' values in, what is to be published out."""

from collections.abc import Sequence
from typing import Final

import orjson
from aiokafka import ConsumerRecord

from services.redemption.handler import RedemptionHandler
from services.redemption.requests import read_request
from services.redemption.routing import ReplyRouter
from shared.batches import Received
from shared.broker import Publisher
from shared.database import Pool
from shared.settings import KafkaSettings
from shared.topics import REDEMPTION_REPLIES, REDEMPTION_REQUESTS

NOWHERE: Final = KafkaSettings(kafka_bootstrap_servers="localhost:1")


def redemption_handler(pool: Pool, publisher: Publisher | None = None) -> RedemptionHandler:
    """The service's handler; without a publisher it can only reply to the default topic."""
    return RedemptionHandler(pool, ReplyRouter(publisher or Publisher(NOWHERE, "test")), "")


def request_record(
    offset: int, value: bytes | None, key: bytes | None = None, headers: Sequence[tuple[str, bytes | None]] = ()
) -> ConsumerRecord[bytes | None, bytes | None]:
    """A record of the one partition of `redemption.requests`; its first correlation id is its offset."""
    all_headers = (("correlation_id", b"%d" % offset), *headers)
    return ConsumerRecord(REDEMPTION_REQUESTS, 0, offset, 0, 0, key, value, None, 0, 0, all_headers)


async def replies_to(handler: RedemptionHandler, values: Sequence[bytes]) -> list[bytes]:
    """Decide one batch, and return its replies in the order of the requests."""
    batch = [Received(read_request(value), request_record(place, value)) for place, value in enumerate(values)]
    published = [outgoing for outgoing in await handler(batch) if outgoing.topic == REDEMPTION_REPLIES]
    assert len(published) == len(values), "each request has one reply"
    by_request = {dict(reply.headers)["correlation_id"]: reply for reply in published}
    replies = [by_request[b"%d" % place] for place in range(len(values))]
    for reply in replies:
        assert (reply.key or b"").decode() == orjson.loads(reply.value or b"")["request_id"]
    return [reply.value or b"" for reply in replies]
