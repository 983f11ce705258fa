"""Fuzzed messages among good ones, without a broker: good neighbours are decided as usual, nothing gets stuck.

FUZZED_REQUESTS_EXAMPLES sets how many batches are tried.
"""

import os
import re
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shared.database import Pool
from shared.events.redemption_replies import RedemptionReply
from tests.properties.fuzz_strategies import CODE, OFFER, REPLY_TOPIC, Headers, headers, keys, values
from tests.support.campaign import add_offer
from tests.support.deciding import request_record
from tests.support.feeding import FedConsumer
from tests.support.requests import redeem

EXAMPLES = int(os.environ.get("FUZZED_REQUESTS_EXAMPLES", "300"))
GOOD: Final = "a good request"
MONEY: Final = re.compile(r"\d{1,10}\.\d\d")

Value = bytes | str | None
_values: st.SearchStrategy[Value] = st.booleans().flatmap(lambda good: st.just(GOOD) if good else values)
batches = st.lists(st.tuples(_values, keys, headers), min_size=1, max_size=8)
"""Good requests may come with odd keys and headers too."""


@pytest.fixture
async def consumer(pool: Pool) -> AsyncIterator[FedConsumer]:
    """The consumer, its log unwritten, with an offer good requests can always use."""
    await add_offer(pool, id=OFFER, code=CODE)
    with capture_logs():
        yield FedConsumer(pool, {REPLY_TOPIC: 3})


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(batch=batches)
async def test_each_fuzzed_message_is_answered_or_dead_and_its_neighbours_decided(
    consumer: FedConsumer, batch: list[tuple[Value, bytes | None, Headers]]
) -> None:
    records = [
        request_record(offset, orjson.dumps(redeem(OFFER)) if isinstance(value, str) else value, key, odd_headers)
        for offset, (value, key, odd_headers) in enumerate(batch)
    ]
    outcome = await consumer.feed(records)
    assert outcome.dead | outcome.replies.keys() == set(range(len(batch)))
    for reply in outcome.replies.values():
        check_form(reply)
    for offset, (value, *_) in enumerate(batch):
        if isinstance(value, str):
            assert offset not in outcome.dead
            check_decided_as_usual(orjson.loads(outcome.replies[offset]))


def check_form(reply: bytes) -> None:
    """A reply is what the contract promises whatever it answers."""
    said = RedemptionReply.model_validate_json(reply)
    assert (said.status == "rejected") == (said.reason is not None)
    fields = orjson.loads(reply)
    for name in ("price", "discount_amount", "price_paid"):
        assert fields[name] is None or MONEY.fullmatch(fields[name]), fields


def check_decided_as_usual(reply: dict[str, Any]) -> None:
    """Ten percent off 100.00."""
    assert (reply["status"], reply["price"], reply["price_paid"]) == ("accepted", "100.00", "90.00"), reply
