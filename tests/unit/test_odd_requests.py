"""Messages that fuzzing found: each once stopped a partition, or was answered in a form the contract excludes."""

from uuid import UUID

import orjson
import pytest

from services.redemption.requests import InvalidRequest, asked_by, read_request
from services.redemption.routing import ReplyRouter
from shared.events.redemption_requests import RedeemRequest
from tests.support.deciding import request_record
from tests.support.feeding import KeepingPublisher

REQUEST = {"request_id": str(UUID(int=1)), "user_id": str(UUID(int=2)), "offer_id": str(UUID(int=3))}


@pytest.mark.parametrize("depth", [255, 300, 1_000, 100_000])
def test_a_message_nested_deeper_than_can_be_written_is_unreadable(depth: int) -> None:
    """It has no content hash, so it can't be decided: raising here dead-letters it alone."""
    value = orjson.dumps(REQUEST | {"note": "@"}).replace(b'"@"', b"[" * depth + b"]" * depth)
    with pytest.raises(ValueError, match="recursion limit exceeded"):
        read_request(value)


def test_what_can_be_read_has_a_content_hash() -> None:
    value = orjson.dumps(REQUEST | {"note": "@"}).replace(b'"@"', b"[" * 240 + b"]" * 240)
    invalid = read_request(value)
    assert isinstance(invalid, InvalidRequest)
    assert len(asked_by(invalid).hash) == 32


@pytest.mark.parametrize("unit_price", ["-0", "-0.00", -0.0])
def test_minus_zero_is_zero(unit_price: str | float) -> None:
    plain, odd = (read_request(orjson.dumps(REQUEST | {"unit_price": price})) for price in ("0.00", unit_price))
    assert isinstance(odd, RedeemRequest)
    assert f"{odd.unit_price:.2f}" == "0.00"
    assert odd == plain
    assert isinstance(plain, RedeemRequest)
    assert asked_by(odd).hash == asked_by(plain).hash


@pytest.mark.parametrize(
    ("asked", "partition"),
    [
        (b"0", 0),
        (b"2", 2),
        (b"002", 2),
        (b"3", None),
        (b"-1", None),
        (b"", None),
        (b"9" * 10, None),
        (b"9" * 5_000, None),
    ],
)
async def test_a_reply_goes_to_the_partition_asked_for_if_there_is_one(asked: bytes, partition: int | None) -> None:
    router = ReplyRouter(KeepingPublisher({"answers": 3}))
    record = request_record(0, b"", None, [("reply_to", b"answers"), ("reply_partition", asked)])
    await router.learn([record])
    reply = router.reply(record, UUID(int=1), "{}")
    assert (reply.topic, reply.partition) == ("answers", partition)
