"""`offers verify`: checks the invariants and names each row that breaks one."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import orjson
import typer
from pydantic import Field
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.cli.options import Json
from deploy.cli.rendering import console
from deploy.verification import Check, Scope, verify_settled
from shared.database import connect
from shared.settings import DatabaseSettings, load_settings


class VerificationSettings(DatabaseSettings):
    """What `offers verify` reads from the environment."""

    decision_retention_days: int = Field(default=90, ge=1, description="how long decisions are kept")


def verify(
    json_output: Json = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds that memberships and audit may take to catch up.")] = 10.0,
) -> None:
    """Check the five invariants; exit 1 and name each row that breaks one."""
    checks = asyncio.run(_verify(load_settings(VerificationSettings), wait))
    if json_output:
        typer.echo(_as_json(checks))
    else:
        _show(checks)
    if any(check.breaches for check in checks):
        raise typer.Exit(1)


async def _verify(settings: VerificationSettings, wait_s: float) -> list[Check]:
    connection = await connect(settings)
    try:
        with Console(stderr=True).status("checking the invariants …") as status:
            scope = Scope(settings.decision_retention_days, say=status.update)
            return await verify_settled(
                connection, wait_s, scope, lambda check: status.update(f"checked: {check.title} …")
            )
    finally:
        await connection.close()


def _as_json(checks: Sequence[Check]) -> bytes:
    report = {
        "ok": not any(check.breaches for check in checks),
        "checks": [
            {
                "invariant": check.invariant,
                "title": check.title,
                "examined": check.examined,
                "breaches": len(check.breaches),
            }
            for check in checks
        ],
        "breaches": [asdict(breach) for check in checks for breach in check.breaches],
    }
    return orjson.dumps(report)


def _show(checks: Sequence[Check]) -> None:
    table = Table("", "invariant", "examined", "", box=None, header_style="dim")
    for check in checks:
        broken = len(check.breaches)
        verdict = Text(f"{broken:,} broken", style="bold red") if broken else Text("holds", style="green")
        table.add_row(str(check.invariant), check.title, check.examined, verdict)
    console.print(table)
    for breach in (breach for check in checks for breach in check.breaches):
        # One line each, whatever the width, so that ids stay whole.
        line = f"{breach.invariant}  {breach.table}  {breach.row}: {breach.problem}"
        console.print(Text(line), soft_wrap=True)
    if not any(check.breaches for check in checks):
        console.print("[bold green]All five invariants hold.[/]")
