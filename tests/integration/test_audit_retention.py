"""Months of the audit log are dropped only if they are whole, and what is kept can still be verified."""

import asyncio
from datetime import UTC, date, datetime

import asyncpg
import orjson
import pytest

from services.audit.handler import link_events
from services.audit.retention import Dropped, NotVerified, first_month_kept, retain
from services.audit.store import append, lock_chains
from shared.database import Pool
from tests.support.audit import broken_links, event, received, tamper
from tests.support.commands import offers

MAY, JUNE, JULY = date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)


async def record(pool: Pool, chain: int, count: int, recorded_at: datetime) -> None:
    """Events of one chain, recorded at an instant as the service would have then."""
    async with pool.acquire() as connection, connection.transaction():
        heads, _ = await lock_chains(connection, [chain])
        batch = received([event() for _ in range(count)], partition=chain)
        await append(connection, link_events(heads, batch, recorded_at), heads, recorded_at)


async def three_months(pool: Pool) -> None:
    """Chain 0: three events in May, two in June, one in July. Chain 1: one in May, and no more."""
    await record(pool, 0, 3, datetime(2026, 5, 31, 23, 59, 59, 999_999, UTC))
    await record(pool, 1, 1, datetime(2026, 5, 2, tzinfo=UTC))
    await record(pool, 0, 2, datetime(2026, 6, 1, tzinfo=UTC))
    await record(pool, 0, 1, datetime(2026, 7, 9, tzinfo=UTC))


async def drop(pool: Pool, before: date, *, dry_run: bool = False, unverified: bool = False) -> Dropped:
    async with pool.acquire() as connection:
        return await retain(connection, before, "Ada", dry_run=dry_run, unverified=unverified)


async def kept(pool: Pool) -> list[tuple[int, int]]:
    rows = await pool.fetch("SELECT chain, sequence FROM audit_log ORDER BY chain, sequence")
    return [(row["chain"], row["sequence"]) for row in rows]


async def test_dropping_a_month_leaves_a_log_that_verifies_and_grows(pool: Pool) -> None:
    await three_months(pool)
    dropped = await drop(pool, JUNE)
    assert (dropped.months, dropped.rows) == (["2026_05"], 4)
    assert [(each.chain, each.sequence, each.rows_dropped) for each in dropped.checkpoints] == [(0, 3, 3), (1, 1, 1)]
    assert await kept(pool) == [(0, 4), (0, 5), (0, 6)]
    assert await broken_links(pool) == []
    await record(pool, 1, 1, datetime(2026, 7, 10, tzinfo=UTC))
    assert [(each.chain, each.sequence) for each in (await drop(pool, JULY)).checkpoints] == [(0, 5)]
    assert await kept(pool) == [(0, 6), (1, 2)]
    assert await broken_links(pool) == []
    signed = await pool.fetch("SELECT signed_off_by, before_month FROM audit_checkpoints ORDER BY chain, sequence")
    assert [tuple(row) for row in signed] == [("Ada", JUNE), ("Ada", JULY), ("Ada", JUNE)]


async def test_a_dry_run_drops_nothing(pool: Pool) -> None:
    await three_months(pool)
    assert (await drop(pool, JULY, dry_run=True)).rows == 6
    assert len(await kept(pool)) == 7
    assert await pool.fetchval("SELECT count(*) FROM audit_checkpoints") == 0


async def test_a_broken_month_is_kept_until_somebody_stands_for_it(pool: Pool) -> None:
    await three_months(pool)
    await tamper(pool, "UPDATE audit_log SET actor = 'nobody' WHERE chain = 0 AND sequence = 2")
    with pytest.raises(NotVerified, match="nothing dropped: chain 0, sequence 2: its content"):
        await drop(pool, JUNE)
    assert len(await kept(pool)) == 7
    assert (await drop(pool, JUNE, unverified=True)).rows == 4
    assert await pool.fetchval("SELECT bool_or(verified) FROM audit_checkpoints") is False
    assert await broken_links(pool) == []


async def test_a_log_without_old_months_is_left_alone(pool: Pool) -> None:
    await three_months(pool)
    dropped = await drop(pool, MAY)
    assert (dropped.months, dropped.checkpoints) == ([], [])


TAMPERING = [
    ("UPDATE audit_checkpoints SET hash = '\\x00' WHERE chain = 0", [(0, 3), (0, 4)]),
    ("UPDATE audit_checkpoints SET sequence = 2 WHERE chain = 0", [(0, 2), (0, 3)]),
    ("UPDATE audit_checkpoints SET rows_dropped = 2 WHERE chain = 0", [(0, 3)]),
    ("UPDATE audit_checkpoints SET before_month = '2026-07-01' WHERE chain = 0", [(0, 3)]),
    ("UPDATE audit_checkpoints SET signed_off_by = 'Eve' WHERE chain = 1", [(1, 1)]),
    ("UPDATE audit_checkpoints SET signed_off_at = now() + interval '1 hour' WHERE chain = 1", [(1, 1)]),
    ("UPDATE audit_checkpoints SET verified = false WHERE chain = 0", [(0, 3)]),
    ("UPDATE audit_checkpoints SET seal = '\\x00' WHERE chain = 0", [(0, 3)]),
    ("DELETE FROM audit_checkpoints WHERE chain = 0", [(0, 1)]),
    ("DELETE FROM audit_checkpoints WHERE chain = 1", [(1, 1)]),
    ("DELETE FROM audit_log WHERE chain = 0 AND sequence = 4", [(0, 4)]),
]


@pytest.mark.parametrize(("statement", "broken"), TAMPERING)
async def test_whatever_is_changed_about_a_checkpoint_is_found(
    pool: Pool, statement: str, broken: list[tuple[int, int]]
) -> None:
    await three_months(pool)
    await drop(pool, JUNE)
    await tamper(pool, statement)
    assert [(link.chain, link.sequence) for link in await broken_links(pool)] == broken


async def test_a_checkpoint_removed_from_between_others_is_found(pool: Pool) -> None:
    await three_months(pool)
    await drop(pool, JUNE)
    await drop(pool, JULY)
    await tamper(pool, "DELETE FROM audit_checkpoints WHERE chain = 0 AND sequence = 3")
    assert [(link.chain, link.sequence) for link in await broken_links(pool)] == [(0, 5)]


@pytest.mark.parametrize("statement", ["UPDATE audit_checkpoints SET chain = 9", "DELETE FROM audit_checkpoints"])
async def test_checkpoints_are_append_only(pool: Pool, statement: str) -> None:
    await three_months(pool)
    await drop(pool, JUNE)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await pool.execute(statement)


async def test_readers_in_the_way_stop_the_drop_and_nothing_is_lost(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.audit.retention.queries.wait_briefly", "SET LOCAL lock_timeout = '50ms'")
    await three_months(pool)
    async with pool.acquire() as reader, reader.transaction():
        await reader.fetch("SELECT event_id FROM audit_log")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await asyncio.wait_for(drop(pool, JUNE), 30)
    assert len(await kept(pool)) == 7
    assert await pool.fetchval("SELECT count(*) FROM audit_checkpoints") == 0


async def test_the_command_tells_what_it_dropped(pool: Pool, database_url: str) -> None:
    await three_months(pool)
    command = ("audit", "retain", "--keep-months", "1", "--by", "Ada")
    would_go = await offers(database_url, *command, "--dry-run")
    assert would_go == "would go: May 2026, June 2026, July 2026; 7 events of 2 chains, verified first\n"
    dropped = orjson.loads(await offers(database_url, *command, "--json"))
    assert (dropped["months"], dropped["rows"]) == (["2026_05", "2026_06", "2026_07"], 7)
    assert [(each["chain"], each["sequence"]) for each in dropped["checkpoints"]] == [(0, 6), (1, 1)]
    assert await offers(database_url, *command) == "nothing to drop: no month is that old\n"
    assert await broken_links(pool) == []


@pytest.mark.parametrize(
    ("today", "months", "first"),
    [
        (date(2026, 11, 25), 1, date(2026, 10, 1)),
        (date(2026, 1, 31), 1, date(2025, 12, 1)),
        (date(2026, 12, 1), 13, date(2025, 11, 1)),
    ],
)
def test_so_many_whole_months_are_kept(today: date, months: int, first: date) -> None:
    assert first_month_kept(today, months) == first
