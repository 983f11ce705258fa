"""`offers bench segmenter` at a tiny size: what it prints is whole and sound. How fast anything is, is not asked."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import psutil
import pytest

KAFKA = os.environ.get("KAFKA") or "embedded"
SIZES = ("--users", "200", "--offers", "5", "--topups", "200", "--rounds", "1", "--events", "100")
TIMEOUT_S = 150.0


async def start_bench(temporary: Path, *arguments: str) -> Process:
    """The command in a process of its own, with its temporary files in a folder of the test's."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.cli", "bench", "segmenter", "--kafka", KAFKA, *arguments,
        stdout=PIPE, stderr=PIPE, env=os.environ | {"TMPDIR": str(temporary)},
    )  # fmt: skip


@pytest.fixture(scope="module")
async def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one run printed."""
    temporary = tmp_path_factory.mktemp("bench")
    process = await start_bench(temporary, "--json", *SIZES)
    out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert process.returncode == 0, err.decode()
    assert list(temporary.iterdir()) == []
    found: dict[str, Any] = json.loads(out)
    return found


async def test_its_json_has_the_figures_of_the_contract(report: dict[str, Any]) -> None:
    assert report["topups_per_s"] > 0
    assert report["ingest_per_s"] > 0
    assert report["ratio_ingest"] == pytest.approx(report["topups_per_s"] / report["ingest_per_s"], abs=0.01)
    assert report["full_recompute_s"] > 0
    assert 0 < report["visible_p50_ms"] <= report["visible_p99_ms"] <= report["visible_max_ms"]


async def test_it_says_what_it_measured_and_that_memberships_were_right(report: dict[str, Any]) -> None:
    sizes = {"users": 200, "offers": 5, "topups": 200, "events": 100, "rounds": 1}
    assert {name: report[name] for name in sizes} == sizes
    assert report["full_recompute_offers_measured"] == 3
    assert 1_000 < report["history_rows"] < 4_000
    assert 0 < report["members"] < 200 * 5
    assert (report["disagreements"], report["pairs_checked"]) == (0, 500)
    assert report["postgres_version"].startswith("18.")
    assert report["broker"].startswith("Apache Kafka" if KAFKA == "apache" else "Tansu")


async def test_ctrl_c_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    process = await start_bench(tmp_path, *SIZES)
    async with asyncio.timeout(TIMEOUT_S):
        while not list(tmp_path.glob("offers-bench-*/logs/1.topups.log")):
            assert process.returncode is None
            await asyncio.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 3
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
    assert process.returncode == 130, err.decode()
    assert (out, list(tmp_path.iterdir())) == (b"", [])
    assert b"Traceback" not in err
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, TIMEOUT_S)
    assert alive == []
