"""`offers explain` and `offers rebuild`: who is eligible and why, and recomputing it. Only the database is needed."""

import asyncio
from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

import asyncpg
import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from deploy.cli.decisions import explain_decision
from deploy.cli.options import Json, id_or_code
from deploy.cli.rendering import console, moment, rules_table
from shared.database import Connection, Pool, connect, create_pool
from shared.errors import OffersError
from shared.events.fields import rfc3339
from shared.events.redemption_replies import RuleResult
from shared.settings import DatabaseSettings, load_settings
from shared.sqlfile import load_queries

_queries = load_queries(__file__)
LOOK_S = 0.2
BARS_MAX = 10


def explain(
    offer: Annotated[
        str | None, typer.Argument(help="The offer's id or code.", metavar="OFFER", show_default=False)
    ] = None,
    user: Annotated[UUID | None, typer.Argument(help="The user's id.", metavar="USER", show_default=False)] = None,
    decision: Annotated[
        UUID | None,
        typer.Option(
            help="Instead: what was decided on this request, decided again.", metavar="REQUEST_ID", show_default=False
        ),
    ] = None,
    json_output: Json = False,
) -> None:
    """Explain whether a user may use an offer now, and until when: each rule, what the user has, what is missing.

    With --decision: what was decided on a request and why; exit 1 if deciding again gives anything else.
    """
    if decision is not None and offer is None and user is None:
        explain_decision(decision, json_output)
    elif decision is None and offer is not None and user is not None:
        _explain_now(offer, user, json_output)
    else:
        raise typer.BadParameter("either OFFER and USER, or --decision REQUEST_ID, is needed")


def _explain_now(offer: str, user: UUID, json_output: bool) -> None:
    found, judged, rules = asyncio.run(_explain(offer, user))
    if json_output:
        document = {
            "offer_id": str(found["id"]),
            "user_id": str(user),
            "eligible": judged["eligible"],
            "allowed": judged["allowed"],
            "valid_until": rfc3339(judged["valid_until"]) if judged["valid_until"] else None,
            "eligibility_logic": found["eligibility_logic"],
            "rules": [rule.model_dump(mode="json") for rule in rules],
        }
        typer.echo(orjson.dumps(document))
        return
    console.print(f"{found['code']} ({found['status']}): {_verdict(judged)}")
    if not judged["allowed"]:
        console.print("the offer is open only to certain users and roles; this user is none of them")
    if rules:
        console.print(f"{found['eligibility_logic']} of these rules must pass:")
        console.print(rules_table(rules))
    else:
        console.print("the offer has no rules")


def _verdict(judged: asyncpg.Record) -> str:
    if not judged["eligible"]:
        return "[bold red]not eligible[/]"
    until = judged["valid_until"]
    return "[bold green]eligible[/]" + (f" until {moment(until)}" if until else ", without end")


async def _explain(offer: str, user: UUID) -> tuple[asyncpg.Record, asyncpg.Record, list[RuleResult]]:
    connection = await connect(load_settings(DatabaseSettings))
    try:
        found = await _find_offer(connection, offer)
        judged = await connection.fetchrow(_queries.judge, found["id"], user)
        assert judged is not None
        rows = await connection.fetch(_queries.explain, found["id"], user)
        return found, judged, [RuleResult(**row) for row in rows]
    finally:
        await connection.close()


async def _find_offer(connection: Connection | Pool, offer: str) -> asyncpg.Record:
    found: asyncpg.Record | None = await connection.fetchrow(_queries.find_offer, *id_or_code(offer))
    if found is None:
        raise OffersError(f"no offer has the id or code {offer}")
    return found


def rebuild(
    offer: Annotated[
        str | None, typer.Argument(help="The offer's id or code.", show_default="every offer with rules")
    ] = None,
) -> None:
    """Recompute who is a member of offers' segments. Redemptions are right all the while."""
    asyncio.run(_rebuild(offer))


async def _rebuild(offer: str | None) -> None:
    from services.segmenter.rebuild import request_rebuilds

    async with create_pool(load_settings(DatabaseSettings), "rebuild") as pool:
        wanted = None if offer is None else [(await _find_offer(pool, offer))["id"]]
        offer_ids = await request_rebuilds(pool, wanted, even_if_current=True)
        if not offer_ids:
            console.print("nothing to rebuild: no active or paused offer with rules")
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            await _work_until_rebuilt(pool, offer_ids, progress)


async def _work_until_rebuilt(pool: Pool, offer_ids: list[UUID], progress: Progress) -> None:
    """Take part in the work, beside the segmenters that are up, until every rebuild is finished."""
    from services.segmenter.evaluation import Evaluator
    from services.segmenter.rebuild import rebuild_chunk

    evaluator = Evaluator()
    bars: dict[str, TaskID] = {}
    while True:
        step = await rebuild_chunk(pool, evaluator=evaluator)
        rows = await pool.fetch(_queries.rebuild_progress, offer_ids)
        for name, done, total in _bars(rows):
            if name not in bars:
                bars[name] = progress.add_task(name, total=None)
            progress.update(bars[name], completed=done, total=total)
        if all(row["finished"] for row in rows):
            return
        if step is None:  # Others are at work on the rest.
            await asyncio.sleep(LOOK_S)


def _bars(rows: list[asyncpg.Record]) -> Iterator[tuple[str, int, int]]:
    """What each bar shows: its name, users done, users in all. Many offers share one bar."""
    counts = [(row["users_done"], row["users_done"] if row["finished"] else max(row["users_total"], 1)) for row in rows]
    if len(rows) > BARS_MAX:
        yield f"{len(rows)} offers", sum(done for done, _ in counts), sum(total for _, total in counts)
        return
    for row, (done, total) in zip(rows, counts, strict=True):
        yield row["code"], done, total
