"""Counts become series without gaps, sums and reasons."""

from datetime import UTC, datetime, timedelta

import pytest

from services.admin.insight.figures import (
    MemberCount,
    OutcomeCount,
    member_points,
    outcome_point,
    outcome_points,
    reasons_of,
    span_of,
)

NOW = datetime(2026, 3, 4, 15, 20, 30, 400, tzinfo=UTC)
HOUR = timedelta(hours=1)
THREE = datetime(2026, 3, 4, 15, tzinfo=UTC)
TODAY = datetime(2026, 3, 4, tzinfo=UTC)


def redeemed(at: datetime, count: int, reason: str = "") -> OutcomeCount:
    return OutcomeCount(at, "redeem", "rejected" if reason else "accepted", reason, count)


def test_a_span_of_one_hour_is_the_present_one() -> None:
    assert span_of(1, NOW).starts() == [THREE]


@pytest.mark.parametrize(("hours", "first", "points"), [
    (3, THREE - 2 * HOUR, 3),
    (336, THREE - 335 * HOUR, 336),
    (337, TODAY - timedelta(days=14), 15),
    (720, TODAY - timedelta(days=29), 30),
])  # fmt: skip
def test_a_span_ends_now_and_is_told_by_the_day_where_it_is_long(hours: int, first: datetime, points: int) -> None:
    starts = span_of(hours, NOW).starts()
    assert (starts[0], len(starts)) == (first, points)
    assert starts[-1] in (THREE, TODAY)


def test_hours_without_a_decision_are_points_too() -> None:
    counts = [
        redeemed(THREE - 3 * HOUR, 9),
        redeemed(THREE - 2 * HOUR, 4),
        redeemed(THREE - 2 * HOUR, 2, "not_eligible"),
        redeemed(THREE, 1, "offer_ended"),
        OutcomeCount(THREE, "revoke", "accepted", "", 3),
        OutcomeCount(THREE, "revoke", "rejected", "already_revoked", 7),
    ]
    points = outcome_points(span_of(3, NOW), counts)
    assert [(point.at, point.accepted, point.revoked, point.rejected) for point in points] == [
        (THREE - 2 * HOUR, 4, 0, {"not_eligible": 2}),
        (THREE - HOUR, 0, 0, {}),
        (THREE, 0, 3, {"offer_ended": 1}),
    ]


def test_reasons_are_summed_and_the_most_frequent_comes_first() -> None:
    points = [
        outcome_point(TODAY, [redeemed(TODAY, 2, "not_eligible"), redeemed(TODAY, 1, "offer_ended")]),
        outcome_point(TODAY, [redeemed(TODAY, 4, "user_not_allowed"), redeemed(TODAY, 3, "offer_ended")]),
    ]
    assert [(reason.reason, reason.count) for reason in reasons_of(points)] == [
        ("offer_ended", 4),
        ("user_not_allowed", 4),
        ("not_eligible", 2),
    ]
    assert reasons_of(points)[0].text == "The offer has ended"


def test_the_number_of_members_stays_until_the_next_count_and_the_present_one_is_exact() -> None:
    counts = [MemberCount(THREE - 9 * HOUR, 5), MemberCount(THREE - 2 * HOUR, 8)]
    points = member_points(span_of(4, NOW), counts, 9)
    assert [point.members for point in points] == [5, 8, 8, 9]


def test_before_the_first_count_the_number_of_members_is_unknown() -> None:
    points = member_points(span_of(3, NOW), [MemberCount(THREE - HOUR, 5)], 5)
    assert [point.members for point in points] == [None, 5, 5]


def test_a_day_has_the_last_number_of_its_hours() -> None:
    counts = [MemberCount(TODAY - HOUR, 1), MemberCount(TODAY - 30 * HOUR, 7), MemberCount(TODAY - 26 * HOUR, 8)]
    points = member_points(span_of(360, NOW), sorted(counts, key=lambda count: count.at), 3)
    assert [point.members for point in points][-3:] == [8, 1, 3]
