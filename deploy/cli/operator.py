"""Who works at this machine: commands that change access note it, as the pages note who has signed in."""

import getpass
import sys

import typer

from shared.errors import OffersError
from shared.security import Caller, Role


def operator() -> Caller:
    """The system's user, with an admin's rights: who reaches the database could give themselves any."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # A container may run under a number without a name.
        name = "nobody"
    return Caller(f"cli:{name}", Role.admin, kind="command")


def chosen_password(from_stdin: bool) -> str | None:
    """What the person typed without echo, or what a program sent; None if one is to be made up.

    Raises:
        OffersError: a password was promised and didn't come, or was typed in two ways.
    """
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise OffersError("there is no password on standard input")
        return password
    if not sys.stdin.isatty():
        return None
    typed = str(typer.prompt("Password (empty: one is made up)", default="", hide_input=True, show_default=False))
    if typed and typer.prompt("Again", hide_input=True) != typed:
        raise OffersError("the two passwords are not the same")
    return typed or None
