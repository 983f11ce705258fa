"""Loads the sample campaign into a running system, plays its checkouts, and shows and checks what came of it."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.sample.admin import create_offers, name_operators
from deploy.sample.campaign import Campaign, invent
from deploy.sample.offers import drafts
from deploy.sample.summary import Check, show_checks, show_summary
from deploy.sample.system import System
from deploy.sample.traffic import Tally, invent_checkouts, play_checkouts
from shared.client import EventPublisher, RedemptionClient
from shared.clock import utc_now
from shared.database import Pool, create_pool
from shared.errors import OffersError
from shared.settings import DatabaseSettings
from shared.sqlfile import load_queries

SEED: Final = 2026
PUBLISH_AT_ONCE: Final = 500
LOOK_S: Final = 0.2
SETTLE_TIMEOUT_S: Final = 45.0
VERIFY_TIMEOUT_S: Final = 60.0

_queries = load_queries(__file__)


async def play(system: System, console: Console) -> bool:
    """Play the whole sample; whether every step of it worked.

    Raises:
        OffersError: a step can't be done at all.
    """
    campaign = invent(SEED, utc_now())
    settings = DatabaseSettings(database_url=system.database_url)
    async with create_pool(settings, "sample") as pool:
        with _bars(console) as progress:
            await _load(system, campaign, pool, progress)
            tally = await _play(system, campaign, progress)
            await _until_audited(pool, progress)
        show_summary(console, tally, await pool.fetch(_queries.offers), await pool.fetch(_queries.audit_events))
        return show_checks(console, await _checks(system, pool, tally))


def _bars(console: Console) -> Progress:
    description = TextColumn("  {task.description:<24}")
    return Progress(description, BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn(), console=console)


async def _load(system: System, campaign: Campaign, pool: Pool, progress: Progress) -> None:
    offers = drafts(campaign, utc_now())
    if await pool.fetchval(_queries.taken_codes, [offer["code"] for offer in offers]):
        raise OffersError("the sample campaign is in this database already, and can be played once in each")
    await name_operators(system, campaign.operators)
    bar = progress.add_task("offers published", total=len(offers))
    for offer in offers:
        await create_offers(system, [offer])
        progress.advance(bar)
    async with EventPublisher(system.kafka, "sample") as publisher:
        await _in_parts(progress, "users registered", campaign.users, publisher.users)
        await _in_parts(progress, "transactions published", campaign.topups, publisher.topups)
    bar = progress.add_task("transactions taken in", total=campaign.topup_count)

    async def taken_in() -> bool:
        row = await pool.fetchrow(_queries.arrivals)
        assert row is not None
        users, topups = int(row["users"]), int(row["topups"])
        progress.update(bar, completed=topups)
        return users >= len(campaign.users) and topups >= campaign.topup_count

    await _until(taken_in, "the segmenter did not take in the history")
    bar = progress.add_task("memberships settled", total=1)
    await _until(lambda: _settled(pool), "memberships did not settle")
    progress.advance(bar)


async def _in_parts(
    progress: Progress, text: str, events: list[Any], publish: Callable[[list[Any]], Awaitable[None]]
) -> None:
    bar = progress.add_task(text, total=len(events))
    for start in range(0, len(events), PUBLISH_AT_ONCE):
        part = events[start : start + PUBLISH_AT_ONCE]
        await publish(part)
        progress.advance(bar, len(part))


async def _play(system: System, campaign: Campaign, progress: Progress) -> Tally:
    checkouts = invent_checkouts(SEED, campaign, utc_now())
    bar = progress.add_task("checkout requests", total=sum(checkout.requests for checkout in checkouts))
    async with RedemptionClient(system.kafka) as client:
        return await play_checkouts(client, checkouts, lambda done: progress.advance(bar, done))


async def _until_audited(pool: Pool, progress: Progress) -> None:
    bar = progress.add_task("decisions audited", total=1)
    await _until(lambda: _audited(pool), "decisions are missing in the audit trail")
    progress.advance(bar)


async def _settled(pool: Pool) -> bool:
    return not await pool.fetchval(_queries.unsettled)


async def _audited(pool: Pool) -> bool:
    return not await pool.fetchval(_queries.unaudited)


async def _until(reached: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    """Look until the state is reached.

    Raises:
        OffersError: it was not, in SETTLE_TIMEOUT_S.
    """
    give_up = time.monotonic() + SETTLE_TIMEOUT_S
    while not await reached():
        if time.monotonic() > give_up:
            raise OffersError(f"{otherwise} within {SETTLE_TIMEOUT_S:g} s")
        await asyncio.sleep(LOOK_S)


async def _checks(system: System, pool: Pool, tally: Tally) -> list[Check]:
    clean, said = await _verify(system)
    return [
        Check("every request answered", not tally.unanswered, "; ".join(sorted(set(tally.unanswered))[:3])),
        Check(f"{tally.repeats} repeats got the first answer again", not tally.repeats_that_differ),
        Check("every membership is what the exact function says", await _settled(pool)),
        Check("every decision is in the audit trail", await _audited(pool)),
        Check("offers verify finds nothing wrong", clean, said),
    ]


async def _verify(system: System) -> tuple[bool, str]:
    """Run `offers verify` as a person would; whether it is clean, and what it said if not."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", "verify"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"OFFERS_DATABASE_URL": system.database_url},
    )
    try:
        async with asyncio.timeout(VERIFY_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        return False, f"it took longer than {VERIFY_TIMEOUT_S:g} s"
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode == 0, output.decode(errors="replace").strip()
