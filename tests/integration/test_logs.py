"""What services log of single messages: the troubled ones by their identifiers, the others not at all."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from shared.broker import Outgoing, Publisher
from shared.database import Pool
from shared.settings import KafkaSettings
from shared.topics import REDEMPTION_REPLIES, REDEMPTION_REQUESTS, TOPUPS, dead_letter_topic
from tests.support.campaign import add_offer
from tests.support.requests import message, redeem
from tests.support.topics import reading
from tests.support.worker_processes import worker_processes

LONG_AGO = "2020-01-01T00:00:00Z"


def lines_of(folder: Path, action: str) -> list[dict[str, Any]]:
    """The worker's log lines of one action."""
    lines = [json.loads(line) for line in (folder / "worker.log").read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("action") == action]


async def test_a_dead_letter_is_logged_with_the_identifiers_that_can_be_made_out(
    database_url: str, kafka: KafkaSettings, publisher: Publisher, tmp_path: Path
) -> None:
    topup_id = str(uuid4())
    values = [orjson.dumps({"topup_id": topup_id, "amount": "a lot", "event_id": 7}), b"[1]", b"\xff"]
    async with (
        worker_processes("segmenter", database_url, kafka, tmp_path) as workers,
        reading(kafka, dead_letter_topic(TOPUPS)) as dead_letters,
    ):
        worker = await workers.start("worker")
        await publisher.publish_all(Outgoing(TOPUPS, b"one key", value) for value in values)
        await dead_letters.read(3)
        assert await worker.stop() == 0
    lines = lines_of(tmp_path, "message.dead_lettered")
    assert [line.get("topup_id") for line in lines] == [topup_id, None, None]
    assert [(line["service"], line["offset"], "event_id" in line) for line in lines] == [
        ("segmenter", 0, False),
        ("segmenter", 1, False),
        ("segmenter", 2, False),
    ]


async def test_requests_that_come_late_share_a_line_and_others_have_none(
    database_url: str, pool: Pool, kafka: KafkaSettings, publisher: Publisher, redis_url: str, tmp_path: Path
) -> None:
    offer = await add_offer(pool)
    late, in_time = redeem(offer, uuid4(), deadline=LONG_AGO), redeem(offer, uuid4())
    async with (
        worker_processes("redemption", database_url, kafka, tmp_path, OFFERS_REDIS_URL=redis_url) as workers,
        reading(kafka, REDEMPTION_REPLIES) as replies,
    ):
        worker = await workers.start("worker")
        await publisher.publish_all([message(late), message(in_time)])
        await replies.read(2)
        assert await worker.stop() == 0
    (line,) = lines_of(tmp_path, "request.late")
    assert (line["level"], line["requests"]) == ("warning", 1)
    assert line["first"] == [{"request_id": late["request_id"]}]
    assert in_time["request_id"] not in (tmp_path / "worker.log").read_text()


async def test_each_decision_has_a_line_at_debug_level(
    database_url: str, pool: Pool, kafka: KafkaSettings, publisher: Publisher, redis_url: str, tmp_path: Path
) -> None:
    request = redeem(await add_offer(pool, status="paused"), uuid4())
    own = {"OFFERS_REDIS_URL": redis_url, "OFFERS_LOG_LEVEL": "DEBUG"}
    async with (
        worker_processes("redemption", database_url, kafka, tmp_path, **own) as workers,
        reading(kafka, REDEMPTION_REPLIES) as replies,
    ):
        worker = await workers.start("worker")
        await publisher.publish_all([message(request)])
        await replies.read(1)
        assert await worker.stop() == 0
    (line,) = lines_of(tmp_path, "request.decided")
    assert (line["request_id"], line["status"], line["reason"]) == (
        request["request_id"],
        "rejected",
        "offer_inactive",
    )


async def test_a_batch_that_fails_is_logged_with_its_first_messages(
    database_url: str, pool: Pool, kafka: KafkaSettings, publisher: Publisher, redis_url: str, tmp_path: Path
) -> None:
    request = redeem(await add_offer(pool), uuid4())
    async with (
        worker_processes("redemption", database_url, kafka, tmp_path, OFFERS_REDIS_URL=redis_url) as workers,
        reading(kafka, REDEMPTION_REPLIES) as replies,
    ):
        worker = await workers.start("worker")
        await pool.execute("ALTER TABLE offers RENAME TO offers_away")
        await publisher.publish_all([Outgoing(REDEMPTION_REQUESTS, b"key", orjson.dumps(request))])
        await worker.until_logged("batch.failed")
        await pool.execute("ALTER TABLE offers_away RENAME TO offers")
        await replies.read(1)
        assert await worker.stop() == 0
    line = lines_of(tmp_path, "batch.failed")[0]
    assert (line["topic"], line["messages"]) == ("redemption.requests", 1)
    assert line["first"] == [{"request_id": request["request_id"]}]
