"""`offers admin` and `offers token` on a real database."""

import asyncio
import getpass
import json
import re
import sys
from typing import Any

import pytest

from deploy.cli import operator
from deploy.cli.app import app
from deploy.embedded.access import give_access
from services.admin.passwords import Passwords
from shared.database import Pool
from shared.errors import OffersError
from shared.security import Role, authenticate
from tests.support.commands import offers

MADE_UP = r"([a-z2-9]{5}-){4}[a-z2-9]{5}"


async def is_password_of(pool: Pool, name: str, password: str) -> bool:
    stored = await pool.fetchval("SELECT password_hash FROM admin_users WHERE name = $1", name)
    return await Passwords().fits(stored, password)


async def refused(database_url: str, *arguments: str, stdin: str | None = None) -> str:
    """What a command that can't be done says."""
    with pytest.raises(OffersError) as error:
        await _failing(database_url, *arguments, stdin=stdin)
    return str(error.value)


async def _failing(database_url: str, *arguments: str, stdin: str | None) -> None:
    from typer.testing import CliRunner

    def run() -> None:
        CliRunner().invoke(
            app, list(arguments), stdin, env={"OFFERS_DATABASE_URL": database_url}, catch_exceptions=False
        )

    await asyncio.to_thread(run)


async def events(pool: Pool) -> list[dict[str, Any]]:
    rows = await pool.fetch("SELECT messages FROM outbox ORDER BY id")
    return [json.loads(message) for row in rows for message in row["messages"]]


async def test_the_first_admin_is_made_with_a_password_that_is_printed_once(pool: Pool, database_url: str) -> None:
    assert "offers admin create NAME" in await offers(database_url, "admin", "list")
    printed = await offers(database_url, "admin", "create", "maria")
    found = re.fullmatch(rf"maria may sign in as admin\npassword: ({MADE_UP})\n", printed)
    assert found is not None
    assert await is_password_of(pool, "maria", found[1])
    (event,) = await events(pool)
    by = f"cli:{getpass.getuser()}"
    assert (event["type"], event["actor"], event["data"]["by"]["command"]) == ("admin.created", by, by)
    assert found[1] not in json.dumps(event)


async def test_a_password_comes_from_standard_input_and_is_not_printed(pool: Pool, database_url: str) -> None:
    create = ("admin", "create", "maria", "--role", "viewer", "--password-stdin")
    assert await offers(database_url, *create, stdin="a long password\n") == "maria may sign in as viewer\n"
    assert await is_password_of(pool, "maria", "a long password")
    change = ("admin", "password", "MARIA", "--password-stdin", "--json")
    changed = json.loads(await offers(database_url, *change, stdin="another password\n"))
    assert (changed["name"], changed["version"], "password" in changed) == ("maria", 2, False)
    assert await is_password_of(pool, "maria", "another password")
    told = json.loads(await offers(database_url, "admin", "password", "maria", "--json"))
    assert re.fullmatch(MADE_UP, told["password"])
    assert await is_password_of(pool, "maria", told["password"])


async def test_what_can_t_be_done_is_said_in_one_line(pool: Pool, database_url: str) -> None:
    await offers(database_url, "admin", "create", "maria")
    assert await refused(database_url, "admin", "create", "Maria") == "Somebody is called Maria already."
    assert "last admin" in await refused(database_url, "admin", "disable", "maria")
    assert await refused(database_url, "admin", "enable", "anna") == "There is no such user."
    stdin = ("admin", "password", "maria", "--password-stdin")
    assert await refused(database_url, *stdin, stdin="") == "there is no password on standard input"
    weak = "The password won't do: at least 12 characters are needed."
    assert await refused(database_url, *stdin, stdin="short\n") == weak
    assert "no valid token" in await refused(database_url, "token", "revoke", "report")


async def test_somebody_is_disabled_and_enabled_again(pool: Pool, database_url: str) -> None:
    await offers(database_url, "admin", "create", "maria")
    await offers(database_url, "admin", "create", "anna", "--role", "editor")
    assert await offers(database_url, "admin", "disable", "anna") == "anna can't sign in any more\n"
    listed = (await offers(database_url, "admin", "list")).splitlines()
    assert [line.split()[:3] for line in listed[1:]] == [["anna", "editor", "disabled"], ["maria", "admin", "may"]]
    assert await offers(database_url, "admin", "enable", "anna") == "anna may sign in\n"
    people = json.loads(await offers(database_url, "admin", "list", "--json"))
    assert [(person["name"], person["disabled_at"]) for person in people] == [("anna", None), ("maria", None)]


async def test_a_token_is_printed_alone_listed_without_it_and_revoked(pool: Pool, database_url: str) -> None:
    assert "offers token create NAME" in await offers(database_url, "token", "list")
    token = (await offers(database_url, "token", "create", "report", "--role", "editor")).strip()
    caller = await authenticate(pool, f"Bearer {token}", Role.editor)
    assert (caller.name, caller.role) == ("report", Role.editor)
    other = json.loads(await offers(database_url, "token", "create", "report", "--json"))
    assert other["role"] == "viewer"
    listed = await offers(database_url, "token", "list")
    assert token not in listed
    assert [line.split()[1:4] for line in listed.splitlines()[1:]] == [
        ["report", "viewer", "valid"],
        ["report", "editor", "valid"],
    ]
    assert "2 tokens have the name report" in await refused(database_url, "token", "revoke", "report")
    assert "is revoked" in await offers(database_url, "token", "revoke", other["id"])
    revoked = json.loads(await offers(database_url, "token", "revoke", "report", "--json"))
    assert revoked["revoked_at"] is not None
    with pytest.raises(OffersError, match="unknown or revoked"):
        await authenticate(pool, f"Bearer {token}", Role.viewer)
    assert [event["type"] for event in await events(pool)] == ["token.created"] * 2 + ["token.revoked"] * 2


async def test_a_person_is_asked_twice_without_echo(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[str] = []

    def prompt(_: str, **options: object) -> str:
        assert options["hide_input"] is True
        return answers.pop(0)

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", prompt)
    answers[:] = ["a long password", "a long password"]
    assert operator.chosen_password(False) == "a long password"
    answers[:] = [""]
    assert operator.chosen_password(False) is None
    answers[:] = ["a long password", "a wrong password"]
    with pytest.raises(OffersError, match="not the same"):
        operator.chosen_password(False)


async def test_each_start_of_the_stack_gives_its_admin_a_new_secret_whatever_became_of_them(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await give_access(connection, "admin", "ofr_" + "0123456789abcdef" * 4)
        await connection.execute("UPDATE admin_users SET role = 'viewer', disabled_at = now()")
        second = "ofr_" + "fedcba9876543210" * 4
        await give_access(connection, "admin", second)
    assert await is_password_of(pool, "admin", second)
    user = await pool.fetchrow("SELECT role, disabled_at FROM admin_users")
    assert user is not None
    assert tuple(user) == ("admin", None)
    assert (await authenticate(pool, f"Bearer {second}", Role.admin)).name == "embedded admin"
    assert await pool.fetchval("SELECT count(*) FROM api_tokens WHERE revoked_at IS NULL") == 1
