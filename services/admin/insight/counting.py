"""Counts decisions by offer and hour, beside the traffic: each one once, however late it is committed.

`insight_progress` says until when decisions are counted. A step takes the stretch from there to a settled instant,
adds what it finds to the counts and moves on, in one transaction that holds the progress row: two admin processes
never count the same stretch, and a killed one leaves nothing half counted.

An instant is settled when no transaction can store an earlier decision any more. Every batch of requests holds the
open period of decisions (`decision_period()`) before it reads the clock, and until it has committed. So the counter
reads the clock, then looks who holds the period, and waits until those have let go of it: whoever comes later reads a
later time. Nobody waits for the counter. What this rests on is that the database's clock does not go back.
"""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Final

from services.admin.insight.store import queries
from shared import metrics
from shared.database import Connection, Pool
from shared.telemetry import get_logger

TASK: Final = "decisions"
LOOK_S: Final = 1.0
SETTLING_S_MAX: Final = 5.0
SETTLING_LOOK_S: Final = 0.02
STEP_S_MIN: Final = 1.0
STEP_S_MAX: Final = 7 * 86_400.0
STEP_S_WANTED: Final = 0.5
"""How long one statement should take: the next one gets more or less to do."""
STATEMENT_S_MAX: Final = 30.0
PAUSE_SHARE: Final = 4
"""It rests this many times as long as it worked, so that it takes a fifth of a connection at most."""

log = get_logger(__name__)


class DecisionCounter:
    """Counts what has been decided; several may, one at a time does."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._step_s = STEP_S_MIN

    async def count(self) -> bool:
        """Count the next stretch; false if there is no more to do, or somebody else is at it."""
        settled = await self._settled()
        if settled is None:
            return False
        started = time.perf_counter()
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(queries.commit_lazily)
                more = await self._step(connection, settled)
        except TimeoutError:
            self._step_s = max(STEP_S_MIN, self._step_s / 8)
            raise
        self._adapt(time.perf_counter() - started)
        return more

    async def run(self) -> None:
        """Count until cancelled, resting in between."""
        while True:
            started = time.perf_counter()
            more = False
            try:
                more = await self.count()
            except Exception:
                log.exception("decisions not counted", action="insight.not_counted")
            worked = time.perf_counter() - started
            await asyncio.sleep(PAUSE_SHARE * worked if more else max(LOOK_S, PAUSE_SHARE * worked))

    async def _settled(self) -> datetime | None:
        """An instant before which no decision can come any more; None if that takes too long to be sure of."""
        now: datetime = await self._pool.fetchval(queries.present_time)
        waited_for = await self._under_way()
        deadline = time.monotonic() + SETTLING_S_MAX
        while waited_for:
            if time.monotonic() > deadline:
                log.warning("decisions not settled", action="insight.not_settled", batches=len(waited_for))
                return None
            await asyncio.sleep(SETTLING_LOOK_S)
            waited_for &= await self._under_way()
        return now

    async def _under_way(self) -> set[str]:
        return {row["batch"] for row in await self._pool.fetch(queries.batches_under_way)}

    async def _step(self, connection: Connection, settled: datetime) -> bool:
        held = await connection.fetchrow(queries.hold_task, TASK)
        if held is None:
            return False
        since: datetime = held["counted_until"]
        until = min(settled, since + timedelta(seconds=self._step_s))
        if until <= since:
            return False
        await connection.execute(queries.count_decisions, since, until, timeout=STATEMENT_S_MAX)
        await connection.execute(queries.note_progress, TASK, until, None)
        metrics.INSIGHT_COUNTED_UNTIL.set(until.timestamp())
        return until < settled

    def _adapt(self, took_s: float) -> None:
        factor = 2.0 if took_s < STEP_S_WANTED / 2 else 0.5 if took_s > STEP_S_WANTED else 1.0
        self._step_s = min(max(self._step_s * factor, STEP_S_MIN), STEP_S_MAX)
