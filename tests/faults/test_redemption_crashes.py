"""Redemption workers killed or paused at named points of their work: one decision and one answer each, exact counts."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL, SIGSTOP

import pytest

from shared.settings import KafkaSettings
from tests.support.doomed_service import Point, program
from tests.support.redemption_trial import RedemptionTrial, redemption_trial
from tests.support.waiting import until
from tests.support.worker_processes import WorkerProcess

LOCK_AWAITED = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


@pytest.fixture
async def trial(
    database_url: str, kafka: KafkaSettings, redis_url: str, tmp_path: Path
) -> AsyncIterator[RedemptionTrial]:
    async with redemption_trial(database_url, kafka, redis_url, tmp_path) as started:
        yield started


async def start_two(trial: RedemptionTrial, doom: list[str]) -> tuple[WorkerProcess, WorkerProcess]:
    """A doomed worker and an ordinary one, which share the work."""
    doomed, survivor = await asyncio.gather(trial.workers.start("doomed", doom), trial.workers.start("survivor"))
    await trial.group.until_members(2)
    return doomed, survivor


@pytest.mark.parametrize("point", Point)
async def test_a_killed_worker_loses_nothing_and_doubles_nothing(trial: RedemptionTrial, point: Point) -> None:
    doomed, survivor = await start_two(trial, program("redemption", point, trial.chance.randint(2, 8), SIGKILL))
    async with trial.checkouts.asking(trial.rush.requests()):
        assert await doomed.until_ended() == -SIGKILL
        assert trial.checkouts.waiting > 0, "it was killed when there was nothing to do"
        successor = await trial.workers.start("successor")
    await trial.finish(survivor, successor)


async def test_a_worker_paused_past_its_session_answers_late_what_was_answered(trial: RedemptionTrial) -> None:
    """It holds a batch and has done nothing about it; its whole work on it comes after another's."""
    doomed, survivor = await start_two(
        trial, program("redemption", Point.AFTER_POLL, trial.chance.randint(2, 8), SIGSTOP)
    )
    async with trial.checkouts.asking(trial.rush.requests()):
        await doomed.until_paused()
        await trial.group.until_members(1)
    await trial.group.until_consumed(trial.checkouts.ends)
    doomed.resume()
    await trial.group.until_members(2)
    await trial.finish(doomed, survivor)


async def test_a_worker_paused_within_its_transaction_cannot_decide_twice(trial: RedemptionTrial) -> None:
    """Another has taken its partitions over, and waits for its locks, when it goes on to commit."""
    doomed, survivor = await start_two(
        trial, program("redemption", Point.IN_TRANSACTION, trial.chance.randint(2, 8), SIGSTOP)
    )
    async with trial.checkouts.asking(trial.rush.requests()):
        await doomed.until_paused()
        await trial.group.until_members(1)
        await until(trial.pool, LOCK_AWAITED, True)
        doomed.resume()
    await trial.group.until_members(2)
    await trial.finish(doomed, survivor)
