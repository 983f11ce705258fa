"""`offers bench audit` at a tiny size: what it prints is whole and sound. How fast anything is, is not asked."""

from typing import Any

import pytest

from tests.support.bench import BROKER, bench_report, interrupt_bench

SIZES = ("--events", "5000", "--rounds", "1")


@pytest.fixture(scope="module")
async def report() -> dict[str, Any]:
    """What one run printed."""
    return await bench_report("audit", *SIZES)


async def test_its_json_has_the_figures_of_the_contract(report: dict[str, Any]) -> None:
    assert report["events_per_s"] > 0
    assert report["copy_limit_per_s"] > 0
    assert report["ratio_limit"] == pytest.approx(report["events_per_s"] / report["copy_limit_per_s"], abs=0.01)


async def test_it_says_what_it_measured_and_that_the_chains_held(report: dict[str, Any]) -> None:
    assert (report["events"], report["rounds"], report["broken"]) == (5_000, 1, 0)
    assert 0 < report["batch_records_mean"] <= report["batch_records_max"] == 2_000
    assert report["postgres_version"].startswith("18.")
    assert report["broker"].startswith(BROKER)


async def test_ctrl_c_leaves_no_process_and_no_folder() -> None:
    await interrupt_bench("audit", "1.audit.log", *SIZES)
