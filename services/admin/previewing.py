"""Counts whom an unsaved rule set matches now: all users, as one snapshot shows them.

Two connections that share the snapshot each read a half of the users in chunks by id. While the database reads
a chunk, the one before it is judged in a thread: the event loop stays free, and memory holds a few chunks only.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from services.admin import store
from services.admin.models import Audience, Comparison, Preview, PreviewResult, RuleCount
from services.admin.tally import Jury, People, Tally
from shared.clock import to_us
from shared.database import Connection, Pool
from shared.histories import load_transactions_between
from shared.ids import to_uuids
from shared.looks import needs_of
from shared.transactions import NO_TRANSACTIONS, Transactions

CHUNK_USERS: Final = 10_000
ID_MAX: Final = 2**128 - 1

A = TypeVar("A")
B = TypeVar("B")


async def preview(pool: Pool, wanted: Preview, timeout_s: float, chunk_users: int = CHUNK_USERS) -> PreviewResult:
    """Judge every known user by rules that are stored nowhere.

    Raises:
        TimeoutError: if it takes longer than `timeout_s`.
    """
    async with asyncio.timeout(timeout_s), _snapshot(pool) as one, _snapshot(pool) as other:
        start = await store.start_preview(one)
        await other.execute(start.same_snapshot)
        jury = Jury(wanted, to_us(start.now))
        lower = _Half(one, wanted, start.now, chunk_users, last=start.middle.int)
        upper = _Half(other, wanted, start.now, chunk_users, last=ID_MAX)
        tallies = await _together(_tally(lower, 0, jury), _tally(upper, start.middle.int + 1, jury))
    return _result(wanted, tallies[0] + tallies[1])


@asynccontextmanager
async def _snapshot(pool: Pool) -> AsyncIterator[Connection]:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        yield connection


@dataclass(frozen=True, slots=True)
class _Chunk:
    people: People
    transactions: Transactions
    following: int
    """The id after the last one of the people, as a number."""


@dataclass(frozen=True, slots=True)
class _Half:
    """Users with ids up to `last`, read with what a preview needs of their transactions. Ids are numbers here."""

    connection: Connection
    wanted: Preview
    now: datetime
    chunk_users: int
    last: int

    async def read(self, first: int) -> _Chunk | None:
        """The next users from an id on; None if there are none."""
        if first > self.last:
            return None
        span = UUID(int=first), UUID(int=self.last)
        roles, other_roles = _roles(self.wanted), _roles(self.wanted.compared_to or Audience())
        people = await store.load_people(self.connection, *span, self.chunk_users, roles, other_roles)
        if not len(people.ids):
            return None
        begin, end = to_uuids(people.ids[[0, -1]])
        others = self.wanted.compared_to.enabled_rules if self.wanted.compared_to else []
        needs = needs_of([*self.wanted.rules, *others])
        transactions = NO_TRANSACTIONS
        if needs.transactions:
            transactions = await load_transactions_between(self.connection, begin, end, needs, self.now)
        return _Chunk(people, transactions, end.int + 1)


async def _tally(half: _Half, first: int, jury: Jury) -> Tally:
    tally = jury.nobody
    chunk = await half.read(first)
    while chunk is not None:
        judging = asyncio.to_thread(jury.count, chunk.people, chunk.transactions)
        chunk, counted = await _together(half.read(chunk.following), judging)
        tally += counted
    return tally


async def _together(one: Coroutine[Any, Any, A], other: Coroutine[Any, Any, B]) -> tuple[A, B]:
    """Both results; if one fails the other is stopped first, so that nobody is at work on a connection left."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = group.create_task(one), group.create_task(other)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return tasks[0].result(), tasks[1].result()


def _roles(audience: Audience) -> list[str]:
    return [] if audience.allow_all else audience.allowed_roles


def _result(wanted: Preview, tally: Tally) -> PreviewResult:
    return PreviewResult(
        total_users=tally.users,
        allowed=tally.allowed,
        matching=tally.matching.count,
        rules=[
            RuleCount(rule_key=rule.rule_key, rule_type=rule.rule_type, matching=passing)
            for rule, passing in zip(wanted.rules, tally.passing, strict=True)
        ],
        sample=list(tally.matching.sample),
        comparison=_comparison(tally) if wanted.compared_to else None,
    )


def _comparison(tally: Tally) -> Comparison:
    return Comparison(
        matching=tally.matched_before,
        entering=tally.entering.count,
        leaving=tally.leaving.count,
        entering_sample=list(tally.entering.sample),
        leaving_sample=list(tally.leaving.sample),
    )
