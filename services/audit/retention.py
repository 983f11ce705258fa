"""Drops whole months of the audit log, after verifying them, and leaves a checkpoint where each chain goes on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from services.audit.chain import BrokenLink
from services.audit.checkpoints import Checkpoint, first_seal
from services.audit.verification import ChainsVerified, load_checkpoints, verify_chains
from shared.clock import from_us, to_us, utc_now
from shared.database import Connection
from shared.errors import OffersError
from shared.sqlfile import load_queries

queries = load_queries(__file__, "retention.sql")


class NotVerified(OffersError):
    """The months to drop are not what was recorded."""

    def __init__(self, first: BrokenLink, more: int) -> None:
        super().__init__(
            f"nothing dropped: chain {first.chain}, sequence {first.sequence}: {first.problem}"
            + (f" (and {more:,} more; `offers verify` names them)" if more else "")
        )


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was dropped, or would be: months as YYYY_MM, and a checkpoint a chain."""

    months: Sequence[str]
    checkpoints: Sequence[Checkpoint]

    @property
    def rows(self) -> int:
        """How many events."""
        return sum(checkpoint.rows_dropped for checkpoint in self.checkpoints)


def first_month_kept(today: date, keep_months: int) -> date:
    """The first day of the first month kept, if so many whole months before the present one are."""
    months = today.year * 12 + today.month - 1 - keep_months
    return date(months // 12, months % 12 + 1, 1)


async def retain(
    connection: Connection,
    before_month: date,
    signed_off_by: str,
    *,
    dry_run: bool = False,
    unverified: bool = False,
    progress: Callable[[ChainsVerified], None] = lambda _: None,
) -> Dropped:
    """Drop the months before one. `unverified`: although their chains are broken; the checkpoints stand for them.

    Raises:
        NotVerified: they are broken, and nothing was dropped.
        asyncpg.LockNotAvailableError: readers are in the way; nothing was dropped.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        verified = await verify_chains(connection, _start_of(before_month), progress)
    if verified.broken and not unverified:
        raise NotVerified(verified.broken[0], verified.broken_total - 1)
    async with connection.transaction():
        await connection.execute(queries.wait_briefly)
        months = [row["month"] for row in await connection.fetch(queries.months_before, before_month)]
        checkpoints = await _checkpoints(connection, before_month, not verified.broken, signed_off_by)
        if not dry_run:
            await _store(connection, checkpoints)
            await connection.fetch(queries.drop_months, before_month)
    return Dropped(months, checkpoints)


def _start_of(month: date) -> datetime:
    return datetime.combine(month, time(), UTC)


async def _checkpoints(
    connection: Connection, before_month: date, verified: bool, signed_off_by: str
) -> list[Checkpoint]:
    rows = await connection.fetch(queries.last_before, _start_of(before_month))
    return [
        Checkpoint(
            chain=row["chain"],
            sequence=row["sequence"],
            hash=row["hash"],
            rows_dropped=row["dropped"],
            before_month=before_month,
            verified=verified,
            signed_off_by=signed_off_by,
            signed_off_at_us=to_us(utc_now()),
        )
        for row in rows
    ]


async def _store(connection: Connection, checkpoints: Sequence[Checkpoint]) -> None:
    latest = {sealed.checkpoint.chain: sealed.seal for sealed in await load_checkpoints(connection)}
    for each in checkpoints:
        await connection.execute(
            queries.store_checkpoint,
            each.chain,
            each.sequence,
            each.hash,
            each.rows_dropped,
            each.before_month,
            each.verified,
            each.signed_off_by,
            from_us(each.signed_off_at_us),
            each.seal(latest.get(each.chain, first_seal(each.chain))),
        )
