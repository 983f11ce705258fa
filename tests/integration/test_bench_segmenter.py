"""`offers bench segmenter` at a tiny size: what it prints is whole and sound. How fast anything is, is not asked."""

from typing import Any

import pytest

from tests.support.bench import BROKER, bench_report, interrupt_bench

SIZES = ("--users", "200", "--offers", "5", "--topups", "200", "--rounds", "1", "--events", "100")


@pytest.fixture(scope="module")
async def report() -> dict[str, Any]:
    """What one run printed."""
    return await bench_report("segmenter", *SIZES)


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
    assert report["broker"].startswith(BROKER)


async def test_ctrl_c_leaves_no_process_and_no_folder() -> None:
    await interrupt_bench("segmenter", "1.topups.log", *SIZES)
