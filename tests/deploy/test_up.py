"""`offers up` as a person, a script and a crash meet it: real processes, started and ended."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import psutil

OFFERS = (sys.executable, "-m", "deploy.cli")
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 60.0


@dataclass
class Up:
    """A running `offers up` and what it has printed."""

    process: asyncio.subprocess.Process
    output: Path
    data_dir: Path

    def descendants(self) -> list[psutil.Process]:
        """Every process it has started, and theirs."""
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for a state; fail if the process ends first."""
        async with asyncio.timeout(START_TIMEOUT_S):
            while not reached():
                assert self.process.returncode is None, self.output.read_text()
                await asyncio.sleep(0.05)

    async def exit_code(self) -> int:
        """Wait for its end."""
        return await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)


@asynccontextmanager
async def offers_up(tmp_path: Path, *arguments: str) -> AsyncIterator[Up]:
    output, data_dir = tmp_path / "output", tmp_path / "data"
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            *OFFERS, "up", "--data-dir", str(data_dir), *arguments, stdout=file, stderr=subprocess.STDOUT
        )
    up = Up(process, output, data_dir)
    try:
        yield up
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def gone(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those of the processes still there after a while."""
    alive: list[psutil.Process]
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, STOP_TIMEOUT_S)
    return alive


def status_of(url: str, token: str | None = None) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=10) as response:
        status: int = response.status
        return status


def sourced(env_file: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a person in another terminal does."""
    shell = ["sh", "-c", '. "$0" && exec "$@"', str(env_file), *command]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OFFERS_")}
    return subprocess.run(shell, capture_output=True, text=True, timeout=60, check=False, env=clean)


async def test_the_stack_answers_and_ends_on_sigterm_without_orphans(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    ready_file.write_text("from an earlier run")
    arguments = ("--workers", "2", "--ready-file", str(ready_file))
    async with offers_up(tmp_path, *arguments) as up:
        await up.until(lambda: ready_file.exists() and ready_file.read_text().startswith("{"))
        ready = json.loads(ready_file.read_text())
        assert set(ready) == {
            "database_url",
            "kafka_bootstrap_servers",
            "redis_url",
            "admin_url",
            "admin_token",
            "admin_user",
            "admin_password",
            "audit_url",
            "pids",
        }
        assert {name: len(pids) for name, pids in ready["pids"].items()} == {
            "redemption": 2,
            "segmenter": 2,
            "audit": 1,
            "admin": 1,
        }
        processes = up.descendants()
        assert {pid for pids in ready["pids"].values() for pid in pids} <= {process.pid for process in processes}
        await the_addresses_work(ready)
        the_commands_work(up.data_dir / "env")
        up.process.send_signal(signal.SIGTERM)
        assert await up.exit_code() == 0
        assert await gone(processes) == []
        assert "Traceback" not in up.output.read_text()
        assert not ready_file.exists()


async def the_addresses_work(ready: dict[str, str]) -> None:
    connection = await asyncpg.connect(ready["database_url"])
    assert await connection.fetchval("SELECT role FROM api_tokens WHERE name = 'embedded admin'") == "admin"
    rows = await connection.fetch(
        "SELECT DISTINCT application_name, usename FROM pg_stat_activity WHERE application_name LIKE 'offers-%'"
    )
    assert {(row["application_name"], row["usename"]) for row in rows} >= {
        (f"offers-{name}", f"offers_up_{name}") for name in ("redemption", "segmenter", "audit", "admin")
    }
    assert "offers" not in {row["usename"] for row in rows}
    await connection.close()
    assert status_of(ready["admin_url"] + "/readyz") == 200
    assert status_of(ready["audit_url"] + "/readyz") == 200
    assert status_of(ready["admin_url"] + "/api/offers", ready["admin_token"]) == 200
    assert status_of(ready["audit_url"] + "/audit", ready["admin_token"]) == 200
    the_admin_signs_in(ready)


def the_admin_signs_in(ready: dict[str, str]) -> None:
    """With what the stack prints, and one login for the page and the audit API."""
    login = {"name": ready["admin_user"], "password": ready["admin_password"]}
    with httpx.Client(follow_redirects=True) as browser:
        first = browser.post(ready["admin_url"] + "/login", data=login)
        assert (first.status_code, first.url.path) == (200, "/offers")
        assert browser.get(ready["audit_url"] + "/audit").status_code == 200
        assert browser.get(ready["admin_url"] + "/api/session").json()["role"] == "admin"


def the_commands_work(env_file: Path) -> None:
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    user = str(uuid4())
    rejected = sourced(env_file, *OFFERS, "redeem", "NOPE", user, "10.00", "--json")
    assert rejected.returncode == 1, rejected.stderr
    reply = json.loads(rejected.stdout)
    assert (reply["reason"], reply["price"]) == ("offer_not_found", "10.00")
    quoted = sourced(env_file, *OFFERS, "quote", user, "10.00", "--json")
    assert (quoted.returncode, json.loads(quoted.stdout)["offers"]) == (0, [])
    unknown = sourced(env_file, *OFFERS, "explain", "NOPE", user)
    assert (unknown.returncode, unknown.stderr) == (2, "error: no offer has the id or code NOPE\n")
    assert sourced(env_file, *OFFERS, "topics").stdout == "every topic exists\n"


async def test_the_sample_campaign_plays_to_its_end(tmp_path: Path) -> None:
    async with offers_up(tmp_path, "--sample", "--exit") as up:
        code = await asyncio.wait_for(up.process.wait(), START_TIMEOUT_S)
        output = up.output.read_text()
        assert code == 0, output
        assert "✓ offers verify finds nothing wrong" in output
        assert "✗" not in output
        for outcome in ("accepted", "not_eligible", "offer_exhausted", "deadline_passed", "offer_not_found"):
            assert outcome in output


async def test_ctrl_c_during_the_start_ends_it_cleanly_however_often_it_is_pressed(tmp_path: Path) -> None:
    async with offers_up(tmp_path) as up:
        await up.until(lambda: (up.data_dir / "logs" / "admin.log").exists())
        processes = up.descendants()
        assert len(processes) >= 3
        async with asyncio.timeout(STOP_TIMEOUT_S):
            while up.process.returncode is None:
                up.process.send_signal(signal.SIGINT)
                await asyncio.sleep(0.001)
        assert await up.exit_code() == 130
        assert await gone(processes) == []
        assert "Traceback" not in up.output.read_text()


async def test_a_killed_stack_leaves_no_orphans(tmp_path: Path) -> None:
    async with offers_up(tmp_path) as up:
        await up.until(lambda: (up.data_dir / "logs" / "admin.log").exists())
        processes = up.descendants()
        assert len(processes) >= 3
        up.process.kill()
        await up.exit_code()
        assert await gone(processes) == []
