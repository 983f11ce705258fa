"""Audit workers killed at named points of their work: each event once in the log, every chain whole."""

import asyncio
import random
from pathlib import Path
from signal import SIGKILL

import pytest

from shared.broker import Publisher
from shared.database import Pool
from shared.events.audit_events import AuditEvent
from shared.settings import KafkaSettings
from shared.topics import AUDIT_EVENTS
from tests.support.audit import broken_links, event, message, until_stored
from tests.support.consumer_group import consumer_group
from tests.support.doomed_service import Point, program
from tests.support.seed import printed_seed
from tests.support.worker_processes import WorkerProcess, worker_processes

SLICE = 100
SLICES_AFTER = 10


async def send(publisher: Publisher, sent: list[AuditEvent], chance: random.Random) -> None:
    """New events and, as redemption does when it starts over, some that were sent before."""
    new = [event(data={"number": len(sent) + place}) for place in range(SLICE)]
    repeated = chance.sample(sent, min(len(sent), SLICE // 5))
    await publisher.publish_all(message(each) for each in [*new, *repeated])
    sent += new


async def send_until_ended(
    publisher: Publisher, sent: list[AuditEvent], chance: random.Random, worker: WorkerProcess
) -> int:
    """Keep the workers busy until one has ended; its exit code."""
    ended = asyncio.create_task(worker.until_ended())
    while not ended.done():
        await send(publisher, sent, chance)
    return await ended


@pytest.mark.parametrize("point", Point)
async def test_a_killed_worker_loses_no_event_and_stores_none_twice(
    database_url: str, pool: Pool, kafka: KafkaSettings, publisher: Publisher, tmp_path: Path, point: Point
) -> None:
    chance = random.Random(printed_seed())
    doom = program("audit", point, chance.randint(2, 8), SIGKILL)
    sent: list[AuditEvent] = []
    async with (
        worker_processes("audit", database_url, kafka, tmp_path, OFFERS_HTTP_PORT="0") as workers,
        consumer_group(kafka, "audit", AUDIT_EVENTS) as group,
    ):
        doomed, survivor = await asyncio.gather(workers.start("doomed", doom), workers.start("survivor"))
        await group.until_members(2)
        assert await send_until_ended(publisher, sent, chance, doomed) == -SIGKILL
        successor = await workers.start("successor")
        for _ in range(SLICES_AFTER):
            await send(publisher, sent, chance)
        await until_stored(pool, len(sent))
        assert [await survivor.stop(), await successor.stop()] == [0, 0]
    rows = await pool.fetch("SELECT event_id, data FROM audit_log")
    assert len(rows) == len(sent)
    assert {row["event_id"]: row["data"] for row in rows} == {each.event_id: each.data for each in sent}
    assert await broken_links(pool) == []
