"""Replies and explanations as a person reads them."""

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from shared.events.redemption_replies import QuotedOffer, RedemptionReply, RuleResult

PIPED_WIDTH: Final = 250
"""Wide enough that no cell is folded where a program, not a person, reads the lines."""

console: Final = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def show_reply(reply: RedemptionReply) -> None:
    """Print one decision."""
    accepted = reply.status == "accepted"
    verdict = Text(f"{reply.command} {reply.status}", style="bold green" if accepted else "bold red")
    if reply.reason is not None:
        verdict.append(f": {reply.reason}", style="red")
    console.print(verdict)
    facts = Table.grid(padding=(0, 2))
    for name in ("offer_id", "user_id", "redemption_id", "price", "discount_amount", "price_paid", "message"):
        value = getattr(reply, name)
        if value is not None:
            facts.add_row(Text(name.replace("_", " "), style="dim"), str(value))
    facts.add_row(Text("request id", style="dim"), str(reply.request_id))
    facts.add_row(Text("decided at", style="dim"), moment(reply.decided_at))
    console.print(facts)
    if reply.explanation:
        console.print(rules_table(reply.explanation))
    if reply.offers is not None:
        console.print(offers_table(reply.offers) if reply.offers else "no offer is usable on this purchase")


def rules_table(rules: Iterable[RuleResult]) -> Table:
    """Each rule with what it requires, what the user has, and until when it holds or what is missing."""
    narrow = (Column(name, no_wrap=True) for name in ("rule", "type", "required", "actual", "passed"))
    # Without most of the padding, the last column folds between words even in a terminal of 80 columns.
    table = Table(*narrow, "lapses, or is missing", box=None, header_style="dim", pad_edge=False, collapse_padding=True)
    for rule in rules:
        table.add_row(
            rule.rule_key,
            rule.rule_type,
            str(rule.required),
            "-" if rule.actual is None else str(rule.actual),
            Text("yes", style="green") if rule.passed else Text("no", style="red"),
            Text(_outlook(rule)),
        )
    return table


def _outlook(rule: RuleResult) -> str:
    if not rule.passed:
        return rule.missing or "-"
    return moment(rule.valid_until) if rule.valid_until else "never"


def offers_table(offers: Iterable[QuotedOffer]) -> Table:
    """Offers a user could use, as the quote ranks them."""
    table = Table("code", "title", box=None, header_style="dim")
    table.add_column("saves", justify="right")
    table.add_column("to pay", justify="right")
    for offer in offers:
        table.add_row(offer.code, offer.title, f"{offer.discount_amount:.2f}", f"{offer.price_paid:.2f}")
    return table


def moment(at: datetime) -> str:
    """A time to the second, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
