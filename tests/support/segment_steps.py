"""What may happen to segments, one step after the other: values to generate, shrink and read in a failure.

Users, offers, operators and topups are small numbers and moments are relative to the clock, so that steps
meet: the same topup again, a window's edge, the instant at which a membership lapses.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)

TopupType = Literal["topup.succeeded", "topup.failed", "topup.reversed"]
Status = Literal["active", "paused", "archived"]


@dataclass(frozen=True, slots=True)
class Age:
    """So many days before now (negative: after it), or the midnight before that, give or take microseconds."""

    days: int
    ticks: int = 0
    midnight: bool = False

    def before(self, now: datetime) -> datetime:
        moment = now - self.days * DAY
        if self.midnight:
            moment = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        return moment + self.ticks * TICK


@dataclass(frozen=True, slots=True)
class OneTopup:
    """A topup event. `rank` leads its event_id, which decides between two of the same instant."""

    user: int
    topup: int
    type: TopupType
    operator: int
    kind: Literal["topup", "purchase"]
    amount: str
    age: Age
    rank: int


@dataclass(frozen=True, slots=True)
class OneUser:
    """A user event: registered at one age, told at another."""

    user: int
    registered: Age
    roles: tuple[str, ...]
    age: Age
    rank: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """Only time passes."""


@dataclass(frozen=True, slots=True)
class Topups:
    """A batch that holds each of these topup events so many times."""

    events: tuple[OneTopup, ...]
    times: int = 1


@dataclass(frozen=True, slots=True)
class Renewal:
    """Somebody tops up or buys again, just now: the `which`-th member of a segment, where there are any."""

    which: int
    operator: int
    kind: Literal["topup", "purchase"]


@dataclass(frozen=True, slots=True)
class Undoing:
    """Just now, the `which`-th of the topups that count turns out to be none."""

    which: int
    type: Literal["topup.reversed", "topup.failed"]


@dataclass(frozen=True, slots=True)
class Users:
    """A batch of user events."""

    events: tuple[OneUser, ...]


@dataclass(frozen=True, slots=True)
class Redelivery:
    """A batch that comes again, chosen among those so far."""

    which: int


@dataclass(frozen=True, slots=True)
class Edit:
    """Who may use an offer is defined anew; `told`: offers.changed says so at once."""

    offer: int
    rules: tuple[dict[str, Any], ...]
    logic: Literal["all", "any"]
    allow_all: bool
    allowed_users: tuple[int, ...]
    allowed_roles: tuple[str, ...]
    told: bool


@dataclass(frozen=True, slots=True)
class StatusChange:
    """An offer is published, paused or archived; `told`: offers.changed says so at once."""

    offer: int
    status: Status
    told: bool


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Rebuilds are asked for where needed (`asked`; `anyway`: everywhere) and done: `chunks` of so many users.

    `chunks` None: to the end.
    """

    asked: bool
    anyway: bool
    chunk_users: int
    chunks: int | None


@dataclass(frozen=True, slots=True)
class Lapses:
    """Memberships whose time has come are ended, or extended, until none is left."""


@dataclass(frozen=True, slots=True)
class TimerLook:
    """The lapse timer of a worker with nothing else to do goes off: the same, and it catches up on extensions."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Time goes on by days and microseconds."""

    days: int
    ticks: int


@dataclass(frozen=True, slots=True)
class ReachLapse:
    """Time goes on to the `which`-th instant at which a membership is to lapse, give or take microseconds."""

    which: int
    ticks: int


Doing = Nothing | Topups | Renewal | Undoing | Users | Redelivery | Edit | StatusChange | Rebuild | Lapses | TimerLook


@dataclass(frozen=True, slots=True)
class Step:
    """First time passes, at least a microsecond; then, at that one instant, something happens."""

    wait: Pass | ReachLapse
    do: Doing


REBUILD_ALL = Rebuild(asked=True, anyway=False, chunk_users=1_000, chunks=None)
AT_ONCE = Pass(days=0, ticks=1)
