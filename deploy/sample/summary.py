"""The sample's summary as a person reads it."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

import asyncpg
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.sample.traffic import Tally

BAR_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be so, and what to say if it isn't."""

    text: str
    passed: bool
    otherwise: str = ""


def show_summary(
    console: Console, tally: Tally, offers: Sequence[asyncpg.Record], audit: Sequence[asyncpg.Record]
) -> None:
    """Print what was asked and answered, how fast, by whom offers were used, and what was audited."""
    console.print("\n[bold]Requests by outcome[/]")
    console.print(_outcomes(tally))
    console.print("\n[bold]Offers[/]")
    console.print(_offers(offers))
    console.print("\n[bold]Audit trail[/]")
    console.print("  " + ", ".join(f"{row['events']:,} {row['type']}" for row in audit))
    console.print("\n[bold]Speed[/]")
    console.print(f"  {_speed(tally)}\n")


def show_checks(console: Console, checks: Sequence[Check]) -> bool:
    """Print the checks; whether all passed."""
    for check in checks:
        mark = "[green]✓[/]" if check.passed else "[bold red]✗[/]"
        console.print(f"  {mark} {check.text}")
        if not check.passed and check.otherwise:
            console.print(Text(check.otherwise, style="red"))
    console.print()
    return all(check.passed for check in checks)


def _outcomes(tally: Tally) -> Table:
    table = Table("request", "outcome", box=None, header_style="dim", padding=(0, 2))
    table.add_column("count", justify="right")
    table.add_column("")
    most = max(tally.outcomes.values(), default=1)
    ranked = sorted(tally.outcomes.items(), key=lambda item: (item[0][0] != "redeem", item[0][0], -item[1]))
    for (command, outcome), count in ranked:
        style = "green" if outcome == "accepted" else "yellow"
        bar = "█" * max(1, round(BAR_WIDTH * count / most))
        table.add_row(command, Text(outcome, style=style), f"{count:,}", Text(bar, style=style))
    return table


def _offers(offers: Sequence[asyncpg.Record]) -> Table:
    table = Table("code", "title", "status", box=None, header_style="dim", padding=(0, 1, 0, 2))
    for heading in ("members", "uses", "of at most"):
        table.add_column(heading, justify="right")
    for row in offers:
        members = f"{row['members']:,}" if row["has_rules"] else "no rules"
        limit = "-" if row["total_usage_limit"] is None else f"{row['total_usage_limit']:,}"
        table.add_row(row["code"], row["title"], row["status"], members, f"{row['usage_count']:,}", limit)
    return table


def _speed(tally: Tally) -> str:
    answered = len(tally.latencies_s)
    if answered < 2:
        return f"{answered} replies"
    percentiles = quantiles(tally.latencies_s, n=100)
    p50, p99 = percentiles[49] * 1000, percentiles[98] * 1000
    rate = answered / tally.took_s
    return f"{answered:,} replies in {tally.took_s:.1f} s: {rate:,.0f} a second, p50 {p50:.0f} ms, p99 {p99:.0f} ms"
