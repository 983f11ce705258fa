"""Checks the five invariants of the database in one snapshot, and names each row that breaks one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from services.audit.verification import verify_chains
from shared.database import Connection
from shared.sqlfile import load_queries

FULL_MAX: Final = 100_000
"""Memberships, and pairs of a user and an offer, are all checked up to so many; beyond, about so many are."""

RECHECK_S: Final = 0.5
SETTLING: Final = frozenset({4, 5})
"""Invariants that hold once the segmenter and the audit service have read what is under way."""

_queries = load_queries(__file__, "verification.sql")


@dataclass(frozen=True, slots=True)
class Breach:
    """A row that breaks an invariant (1 to 5)."""

    invariant: int
    table: str
    row: str
    problem: str


@dataclass(frozen=True, slots=True)
class Check:
    """What came of checking one invariant; `examined` says how many of what were looked at."""

    invariant: int
    title: str
    examined: str
    breaches: Sequence[Breach]


@dataclass(frozen=True, slots=True)
class Scope:
    """How far the checks go: days decisions are kept, and how many rows are checked without sampling. `say` is told
    how far the longest of them is."""

    retention_days: int = 90
    full_max: int = FULL_MAX
    say: Callable[[str], None] = lambda text: None


Progress = Callable[[Check], None]


async def verify(
    connection: Connection, scope: Scope = Scope(), progress: Progress = lambda check: None
) -> list[Breach]:
    """Check every invariant as of one instant, reporting each check as it ends."""
    breaches: list[Breach] = []
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for run in _CHECKS:
            check = await run(connection, scope)
            progress(check)
            breaches += check.breaches
    return breaches


async def verify_settled(
    connection: Connection, wait_s: float, scope: Scope = Scope(), progress: Progress = lambda check: None
) -> list[Check]:
    """Check every invariant, again and again for at most `wait_s` while what isn't settled may be on its way.

    Returns the checks of the last pass.
    """
    deadline = time.monotonic() + wait_s
    while True:
        checks: list[Check] = []

        def note(check: Check, checks: list[Check] = checks) -> None:
            checks.append(check)
            progress(check)

        breaches = await verify(connection, scope, note)
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not any(breach.invariant in SETTLING for breach in breaches):
            return checks
        await asyncio.sleep(min(RECHECK_S, left_s))


async def _check_usage(connection: Connection, scope: Scope) -> Check:
    examined = f"{await connection.fetchval(_queries.count_offers):,} offers"
    breaches = await _find(connection, 1, _queries.find_miscounted_offers)
    return Check(1, "usage counts are right and within their limits", examined, breaches)


async def _check_user_limits(connection: Connection, scope: Scope) -> Check:
    examined = f"{await connection.fetchval(_queries.count_limited_users):,} users of limited offers"
    breaches = await _find(connection, 2, _queries.find_users_above_limit)
    return Check(2, "no user is above an offer's per-user limit", examined, breaches)


async def _check_decisions(connection: Connection, scope: Scope) -> Check:
    examined = f"{await connection.fetchval(_queries.count_decisions):,} decisions"
    breaches = await _find(connection, 3, _queries.find_unmatched_decisions, scope.retention_days)
    return Check(3, "requests, decisions and redemptions match one to one", examined, breaches)


async def _check_members(connection: Connection, scope: Scope) -> Check:
    members: int = await connection.fetchval(_queries.count_members)
    candidates: int = await connection.fetchval(_queries.count_candidates)
    breaches = [
        *await _find(connection, 4, _queries.find_wrong_members, _share(members, scope.full_max)),
        *await _find(connection, 4, _queries.find_missing_members, _share(candidates, scope.full_max)),
    ]
    examined = f"{_shown(members, scope.full_max)} memberships, {_shown(candidates, scope.full_max)} users × offers"
    return Check(4, "memberships agree with the eligibility functions", examined, breaches)


async def _check_audit(connection: Connection, scope: Scope) -> Check:
    breaches = await _find(connection, 5, _queries.find_unaudited_redemptions)
    chains = await verify_chains(
        connection,
        progress=lambda found: scope.say(
            f"audit chains: {found.rows:,} of about {max(found.rows, found.rows_expected):,} events"
        ),
    )
    for link in chains.broken:
        row = f"chain {link.chain}, sequence {link.sequence}"
        if link.event_id is not None:
            row += f", event {link.event_id}"
        breaches.append(Breach(5, "audit_log", row, link.problem))
    unnamed = chains.broken_total - len(chains.broken)
    if unnamed:
        breaches.append(Breach(5, "audit_log", f"{unnamed:,} more places", "not as recorded either"))
    examined = f"{chains.rows:,} events in {len(chains.heads):,} chains"
    return Check(5, "redemptions are audited and the audit chains hold", examined, breaches)


_CHECKS: Final[Sequence[Callable[[Connection, Scope], Awaitable[Check]]]] = (
    _check_usage,
    _check_user_limits,
    _check_decisions,
    _check_members,
    _check_audit,
)


async def _find(connection: Connection, invariant: int, query: str, *arguments: object) -> list[Breach]:
    return [Breach(invariant, *row.values()) for row in await connection.fetch(query, *arguments)]


def _share(rows: int, full_max: int) -> float:
    return 1.0 if rows <= full_max else full_max / rows


def _shown(rows: int, full_max: int) -> str:
    return f"{rows:,}" if rows <= full_max else f"about {full_max:,} of {rows:,}"
