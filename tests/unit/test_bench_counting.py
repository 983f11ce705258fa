"""When a benchmark's counts are exact: what was sent is what was accepted, stored and counted."""

from dataclasses import replace

import pytest

from deploy.bench.redemption.counting import Counts

EXACT = Counts(sent=5, accepted=5, redemptions=5, decisions=5, usage_counted=5, offers_miscounted=0, users_over_limit=0)


def test_counts_that_agree_are_exact_with_decisions_and_without() -> None:
    assert EXACT.exact
    assert replace(EXACT, decisions=None).exact


@pytest.mark.parametrize(
    "difference",
    [
        {"accepted": 4},
        {"redemptions": 6},
        {"decisions": 4},
        {"usage_counted": 4},
        {"offers_miscounted": 1},
        {"users_over_limit": 1},
    ],
)
def test_any_difference_is_found(difference: dict[str, int]) -> None:
    assert not replace(EXACT, **difference).exact


def test_totals_add_up() -> None:
    assert Counts.total([EXACT, EXACT]) == Counts(10, 10, 10, 10, 10, 0, 0)
    assert Counts.total([replace(EXACT, decisions=None)] * 2).decisions is None
