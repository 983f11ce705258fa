"""Every `offers` command in one place."""

import logging

import typer

from deploy.cli import (
    acls,
    admins,
    audit,
    bench,
    checkout,
    dead_letters,
    events,
    logins,
    operations,
    sample,
    segments,
    tokens,
    up,
    verify,
)
from shared.telemetry import configure_logging

app = typer.Typer(
    name="offers",
    help="Offers and eligibility for businesses that sell airtime, data and similar products.",
    epilog="Commands read OFFERS_* from the environment; `offers up` writes a file to source.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def quiet() -> None:
    """Leave the screen to the command: libraries may log errors, nothing less."""
    configure_logging("cli", level="ERROR")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


app.command()(up.up)
for operation in (operations.migrate, logins.logins, operations.topics, acls.acls, operations.run, sample.sample):
    app.command(rich_help_panel="One piece at a time")(operation)
for call in (checkout.redeem, checkout.quote, checkout.revoke, events.topup, events.user):
    app.command(rich_help_panel="A person's or a script's way in")(call)
for look in (segments.explain, segments.rebuild, verify.verify):
    app.command(rich_help_panel="Who is eligible, and is all well")(look)
for group in (dead_letters.app, audit.app):
    app.add_typer(group, rich_help_panel="Who is eligible, and is all well")
for group in (admins.app, tokens.app):
    app.add_typer(group, rich_help_panel="Who has access")
app.add_typer(bench.app, rich_help_panel="How fast it is")
