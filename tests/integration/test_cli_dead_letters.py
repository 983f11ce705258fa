"""`offers dlq …` over real Kafka: what it prints, what it refuses, and that a signal leaves nothing sent twice."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import orjson
import pytest
from typer.testing import CliRunner, Result

from deploy.cli.dead_letters import app
from deploy.dead_letters import replay_dead_letters
from shared.settings import KafkaSettings
from shared.topics import DEAD_LETTER_REPLAYS, TOPUPS
from tests.support.dead_letters import Bury, values
from tests.support.topics import reading

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def run(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `offers dlq …` with the test's Kafka."""
    for name, value in kafka.model_dump(exclude_none=True).items():
        monkeypatch.setenv(f"OFFERS_{name.upper()}", str(value))
    monkeypatch.setenv("COLUMNS", "200")

    async def run_(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return run_


async def test_the_command_line_lists_and_replays(run: Run, bury: Bury) -> None:
    await bury(b"\xffvalue")
    listed = await run("list", "topups")
    assert listed.exit_code == 0, listed.output
    for text in ("user", "segmenter", "amount: [red] is wrong", "base64:/3ZhbHVl"):
        assert text in listed.output
    (message,) = orjson.loads((await run("list", "topups", "--json")).stdout)["messages"]
    assert (message["key"], message["value"], message["error"]) == ("user", "base64:/3ZhbHVl", "amount: [red] is wrong")
    assert orjson.loads((await run("replay", "topups", "--json")).stdout) == {"topic": "topups", "replayed": 1}
    assert "no dead letters waiting" in (await run("list", "topups")).output
    assert "base64:/3ZhbHVl" in (await run("list", "topups", "--all")).output
    assert "0 sent to topups again" in (await run("replay", "topups")).output


async def test_the_command_line_filters_and_tries_out(run: Run, bury: Bury) -> None:
    await bury(b"one", key=b"\xff")
    await bury(b"two", error="too deep")
    tried = await run("replay", "topups", "--error", "DEEP", "--dry-run", "--json")
    assert orjson.loads(tried.stdout) == {"topic": "topups", "would_replay": 1}
    assert "2 would be sent to topups again" in (await run("replay", "topups", "--dry-run")).stdout
    (message,) = orjson.loads((await run("list", "topups", "--key", "base64:/w==", "--json")).stdout)["messages"]
    assert (message["value"], message["replays"]) == ("one", 0)
    none = await run("replay", "topups", "--service", "segmenter", "--since", "2999-01-01", "--json")
    assert orjson.loads(none.stdout) == {"topic": "topups", "replayed": 0}
    assert orjson.loads((await run("replay", "topups", "--error", "deep", "--json")).stdout)["replayed"] == 1
    assert orjson.loads((await run("list", "topups", "--json")).stdout)["total"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "yesterday"], "'yesterday' is not a time such as"),
        (["--since", "2026-11-25T09:00", "--until", "2026-11-25T10:00:00+02:00"], "must be after --since"),
        (["--service", "checkout"], "'checkout' is not one of"),
        (["--partition", "-1"], "-1 is not in the range"),
        (["--key", "base64:?"], "is not base64"),
    ],
)
async def test_what_cannot_be_meant_is_refused(run: Run, arguments: list[str], said: str) -> None:
    for command in ("list", "replay"):
        refused = await run(command, "topups", *arguments)
        assert refused.exit_code == 2
        assert said in refused.output


SLOWLY = "from deploy.dead_letters import reading; reading.CHUNK = 20; from deploy.cli import main; main()"
"""The command, a few letters at a time, so that it is far from its end when the signal comes."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_replay_stopped_by_a_signal_sends_each_letter_once_in_the_end(
    kafka: KafkaSettings, bury: Bury, number: signal.Signals
) -> None:
    letters = 20_000
    await bury(*(b"%d" % place for place in range(letters)))
    environment = {f"OFFERS_{name.upper()}": str(value) for name, value in kafka.model_dump(exclude_none=True).items()}
    command = (sys.executable, "-c", SLOWLY, "dlq", "replay", "topups")
    async with reading(kafka, DEAD_LETTER_REPLAYS) as ledger, reading(kafka, TOPUPS) as topups:
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | environment, stderr=asyncio.subprocess.PIPE
        )
        await ledger.read(1)
        process.send_signal(number)
        _, errors = await process.communicate()
        assert (process.returncode, errors) == (130, b"interrupted: the same command sends the rest\n")
        left = await replay_dead_letters(kafka, TOPUPS)
        assert 0 < left < letters
        await topups.read(letters)
        assert values(await topups.read_quiet()) == {b"%d" % place: 1 for place in range(letters)}
