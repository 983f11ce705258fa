"""`offers bench redemption` at a tiny size: what it prints is whole and sound. How fast anything is, is not asked."""

from typing import Any

import pytest

from tests.support.bench import BROKER, bench_report, interrupt_bench

SIZES = ("--users", "50", "--offers", "12", "--requests", "300", "--rounds", "2", "--events", "50")
REQUESTS = 2 * (300 + 10 + 50 + 300)
"""Both rounds: a backlog for the hot offer, its warm-up and paced requests, and a backlog for the others."""
SEED_REQUESTS = 2 * 2 * (160 + 60)
"""Both rounds, hot and spread: the warm-up, and one request for five of the system's."""


@pytest.fixture(scope="module")
async def report() -> dict[str, Any]:
    """What one run printed."""
    return await bench_report("redemption", *SIZES)


async def test_its_json_has_the_figures_of_the_contract(report: dict[str, Any]) -> None:
    for name in ("seed_hot_per_s", "system_hot_per_s", "system_spread_per_s", "copy_limit_per_s"):
        assert report[name] > 0
    assert report["ratio_hot"] > 0
    assert report["ratio_limit"] > 0
    assert 0 < report["reply_p50_ms"] <= report["reply_p99_ms"] <= report["reply_max_ms"]
    assert 0 < report["echo_p50_ms"] <= report["echo_p99_ms"]
    assert report["ratio_latency"] > 0


async def test_its_ratios_are_those_of_each_round(report: dict[str, Any]) -> None:
    rounds = report["per_round"]
    for ratio, system, other in (
        ("ratio_hot", "system_hot_per_s", "seed_hot_per_s"),
        ("ratio_spread", "system_spread_per_s", "seed_spread_per_s"),
        ("ratio_limit", "system_hot_per_s", "copy_limit_per_s"),
        ("ratio_latency", "reply_p50_ms", "echo_p50_ms"),
    ):
        expected = [one / two for one, two in zip(rounds[system], rounds[other], strict=True)]
        assert rounds[ratio] == pytest.approx(expected, rel=0.01, abs=0.001)
        assert report[ratio] == pytest.approx(sum(expected) / 2, rel=0.01, abs=0.001)


async def test_every_request_was_accepted_stored_and_counted_once(report: dict[str, Any]) -> None:
    wrong = {"offers_miscounted": 0, "users_over_limit": 0}
    assert report["exact"] is True
    assert report["system_counts"] == wrong | dict.fromkeys(
        ("sent", "accepted", "redemptions", "decisions", "usage_counted"), REQUESTS
    )
    assert report["seed_counts"] == wrong | {"decisions": None} | dict.fromkeys(
        ("sent", "accepted", "redemptions", "usage_counted"), SEED_REQUESTS
    )


async def test_it_says_what_it_measured_and_on_what(report: dict[str, Any]) -> None:
    sizes = {"users": 50, "offers": 12, "requests": 300, "seed_requests": 60, "events": 50, "rounds": 2}
    assert {name: report[name] for name in sizes} == sizes
    # Every user is a member of the hot offer and of the four others that ask for a topup on the same operator.
    assert report["members"] == 50 + 50 * 4
    assert 0 < report["batch_records_hot_mean"] <= report["batch_records_max"]
    assert report["worker_rss_mb_max"] > 0
    assert report["postgres_version"].startswith("18.")
    assert report["broker"].startswith(BROKER)
    assert report["cpus"] >= 1


async def test_ctrl_c_leaves_no_process_and_no_folder() -> None:
    await interrupt_bench("redemption", "1.hot.log", *SIZES)
