"""Times as the system keeps them: timezone-aware UTC, or whole microseconds since 1970 (`*_us`).

PostgreSQL's timestamptz has microsecond resolution, so the two forms convert without loss.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DAY_US: Final = 24 * 3600 * 1_000_000
MICROSECOND: Final = timedelta(microseconds=1)


def utc_now() -> datetime:
    """The wall clock, timezone-aware."""
    return datetime.now(UTC)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of a timezone-aware time."""
    return (moment - EPOCH) // MICROSECOND


def from_us(moment_us: int) -> datetime:
    """The timezone-aware UTC time of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=moment_us)
