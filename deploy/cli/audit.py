"""`offers audit retain`: drop old months of the audit log, once they are verified and signed off."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import asyncpg
import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from deploy.cli.options import Json
from deploy.cli.rendering import console
from shared.clock import utc_now
from shared.database import connect
from shared.errors import OffersError
from shared.settings import DatabaseSettings, load_settings

if TYPE_CHECKING:
    from services.audit.retention import Dropped

app = typer.Typer(name="audit", help="Look after the audit log.", no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _group() -> None:
    """Look after the audit log."""


@app.command()
def retain(
    keep_months: Annotated[int, typer.Option(help="Whole months kept beside the present one.", min=1, max=1200)],
    by: Annotated[str, typer.Option(help="Who signs the drop off; kept with its checkpoints.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Verify and say what would go; drop nothing.")] = False,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Drop months whose chains are broken, too: the proof goes with them.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Drop older months of the audit log. They are verified first, and each chain's end is kept as a checkpoint."""
    if not by.strip():
        raise typer.BadParameter("say who signs this off", param_hint="--by")
    dropped = asyncio.run(_retain(keep_months, by.strip(), dry_run, unverified))
    if json_output:
        typer.echo(orjson.dumps(_as_json(dropped, dry_run)))
    else:
        _show(dropped, dry_run)


async def _retain(keep_months: int, by: str, dry_run: bool, unverified: bool) -> "Dropped":
    from services.audit.retention import first_month_kept, retain

    before = first_month_kept(utc_now().date(), keep_months)
    connection = await connect(load_settings(DatabaseSettings))
    try:
        with Progress(console=Console(stderr=True), transient=True) as shown:
            bar = shown.add_task("verifying", total=None)
            return await retain(
                connection,
                before,
                by,
                dry_run=dry_run,
                unverified=unverified,
                progress=lambda found: shown.update(bar, completed=found.rows, description=f"{found.rows:,} verified"),
            )
    except asyncpg.LockNotAvailableError:
        raise OffersError("nothing dropped: an export or a verification is reading the log; try again later") from None
    finally:
        await connection.close()


def _as_json(dropped: "Dropped", dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "months": list(dropped.months),
        "rows": dropped.rows,
        "checkpoints": [
            {
                "chain": each.chain,
                "sequence": each.sequence,
                "hash": each.hash.hex(),
                "rows": each.rows_dropped,
                "verified": each.verified,
            }
            for each in dropped.checkpoints
        ],
    }


def _show(dropped: "Dropped", dry_run: bool) -> None:
    if not dropped.months:
        console.print("nothing to drop: no month is that old")
        return
    months = ", ".join(datetime.strptime(month, "%Y_%m").strftime("%B %Y") for month in dropped.months)
    verified = ", verified first" if all(each.verified for each in dropped.checkpoints) else ", some of them broken"
    verb = "would go" if dry_run else "dropped"
    console.print(f"{verb}: {months}; {dropped.rows:,} events of {len(dropped.checkpoints)} chains{verified}")
