"""Puts counts together to series without gaps, sums and reasons. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.admin.insight.models import Bucket, MemberPoint, OutcomePoint, ReasonCount
from services.admin.wording import reason_text

HOURLY_HOURS_MAX: Final = 14 * 24
"""A longer time is told by the day: more points than a screen has room for tell nothing more."""
STEPS: Final[dict[Bucket, timedelta]] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many decisions of one kind were made in an hour or a day."""

    at: datetime
    command: str
    status: str
    reason: str
    decisions: int


@dataclass(frozen=True, slots=True)
class MemberCount:
    """How many members there were from some time in an hour on."""

    at: datetime
    members: int


@dataclass(frozen=True, slots=True)
class Span:
    """The hours or days that lead up to now, now's included; all in UTC."""

    first: datetime
    last: datetime
    bucket: Bucket

    def starts(self) -> list[datetime]:
        """When each of them began."""
        step = STEPS[self.bucket]
        return [self.first + place * step for place in range((self.last - self.first) // step + 1)]


def span_of(hours: int, now: datetime) -> Span:
    """The span of so many hours; of whole days where they are many."""
    if hours <= HOURLY_HOURS_MAX:
        last = now.replace(minute=0, second=0, microsecond=0)
        return Span(last - timedelta(hours=hours - 1), last, "hour")
    last = midnight(now)
    return Span(last - timedelta(days=-(-hours // 24) - 1), last, "day")


def midnight(now: datetime) -> datetime:
    """When the day began."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def outcome_points(span: Span, counts: Iterable[OutcomeCount]) -> list[OutcomePoint]:
    """One point for each hour or day of the span, those without a decision included."""
    points = {at: OutcomePoint(at=at) for at in span.starts()}
    for count in counts:
        if count.at in points:
            _add(points[count.at], count)
    return list(points.values())


def outcome_point(at: datetime, counts: Iterable[OutcomeCount]) -> OutcomePoint:
    """All the counts as one point."""
    point = OutcomePoint(at=at)
    for count in counts:
        _add(point, count)
    return point


def reasons_of(points: Iterable[OutcomePoint]) -> list[ReasonCount]:
    """How often each reason led to a rejection, the most frequent first."""
    total: Counter[str] = Counter()
    for point in points:
        total.update(point.rejected)
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return [ReasonCount(reason=reason, text=reason_text(reason), count=count) for reason, count in ordered]


def member_points(span: Span, counts: Sequence[MemberCount], members_now: int) -> list[MemberPoint]:
    """The number at the end of each hour or day: the last one counted until then, and now's in the present one."""
    step = STEPS[span.bucket]
    points: list[MemberPoint] = []
    known: int | None = None
    place = 0
    for at in span.starts():
        while place < len(counts) and counts[place].at < at + step:
            known = counts[place].members
            place += 1
        points.append(MemberPoint(at=at, members=members_now if at == span.last else known))
    return points


def _add(point: OutcomePoint, count: OutcomeCount) -> None:
    match count.command, count.status:
        case "redeem", "accepted":
            point.accepted += count.decisions
        case "revoke", "accepted":
            point.revoked += count.decisions
        case "redeem", "rejected":
            point.rejected[count.reason] = point.rejected.get(count.reason, 0) + count.decisions
