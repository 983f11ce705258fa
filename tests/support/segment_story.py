"""What segments.changed has told of each membership, and what it must tell next.

The reference is looked at before and after every step. Where only events and time have moved a membership since
the segmenter last evaluated its user, each end and each beginning is told once, at its exact instant. Where the
offer itself was changed meanwhile, the segmenter may find out later, up to the end of the rebuild: what came and
went unseen it needn't tell, and a row of older rules that runs out first may be told as an end.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.events.segments_changed import SegmentChanged
from tests.support.segment_sights import INFINITY, Pair, Sight
from tests.support.segment_world import Done


@dataclass(frozen=True, slots=True)
class Turn:
    """An entry (`until`: when it ends) or a departure to be told; `at` None: at any time since the entry."""

    type: Literal["segment.entered", "segment.left"]
    at: datetime | None
    until: datetime | None = None


@dataclass(slots=True)
class Chapter:
    """One user and one offer as far as the story has come.

    `ended_at`: when time last ended the membership. `changed`: the offer was changed since the segmenter's last
    certain look; `broken`: so was the membership itself.
    """

    inside: bool = False
    since: datetime | None = None
    ended_at: datetime | None = None
    changed: bool = False
    broken: bool = False

    def pass_time(self, last: Sight, before: Sight) -> None:
        """Note what time alone has done between two steps."""
        if last.member and not before.member:
            self.ended_at = last.until
            self.broken = True

    def possible_turns(self, before: Sight, after: Sight, done: Done, now: datetime) -> list[list[Turn]]:
        """What the step may have told; one of these lists."""
        batch = after.user_id in done.users
        if not (batch or done.rebuilt or done.lapsed):
            return [[]]
        entry = Turn("segment.entered", now, after.until)
        left = Turn("segment.left", now)
        end = Turn("segment.left", None if self.changed else now if before.member else self.ended_at)
        if not self.inside:
            exact = [entry] if after.member else []
        elif after.member:
            exact = [] if before.member else [end, entry]
        else:
            exact = [end]
        found_later = self.changed or (done.rebuilt and not batch)
        possible = [exact, []] if found_later else [exact]
        ran_out = before.row_until is not None and before.row_until <= now
        if self.changed and self.inside and after.member:
            possible += [[end, entry], [end]] if self.broken or ran_out else []
        if self.changed and before.member and (ran_out or not self.inside):
            # What had run out is settled before what a batch brings, which may change or end what began anew.
            begun = Turn("segment.entered", now, before.until)
            possible.append([*([end] if self.inside else []), begun, *([] if after.member else [left])])
        return possible

    def note(self, after: Sight, done: Done, events: Sequence[SegmentChanged]) -> None:
        """Go on to the next step."""
        if events:
            self.inside = events[-1].type == "segment.entered"
            self.since = events[-1].occurred_at
        self.changed = self.changed or done.offer == after.offer_id
        if after.current or (after.live and after.row_version == after.rules_version):
            self.changed = False
        if events or not self.changed:
            self.broken = False
        self.broken = self.broken or (self.inside and not after.member)


@dataclass(slots=True)
class Story:
    """All memberships."""

    chapters: defaultdict[Pair, Chapter] = field(default_factory=lambda: defaultdict(Chapter))
    last: Mapping[Pair, Sight] = field(default_factory=dict)
    event_ids: set[UUID] = field(default_factory=set)

    def go_on(
        self,
        before: Mapping[Pair, Sight],
        after: Mapping[Pair, Sight],
        done: Done,
        now: datetime,
        events: Sequence[tuple[UUID, SegmentChanged]],
    ) -> None:
        """Check what a step told: `events`, each with its key."""
        told: defaultdict[Pair, list[SegmentChanged]] = defaultdict(list)
        for key, event in events:
            assert key == event.user_id
            assert event.event_id not in self.event_ids, f"the id of {event} was used before"
            self.event_ids.add(event.event_id)
            told[event.offer_id, event.user_id].append(event)
        assert told.keys() <= after.keys()
        for pair, sight in after.items():
            chapter = self.chapters[pair]
            if pair in self.last:
                chapter.pass_time(self.last[pair], before[pair])
            possible = chapter.possible_turns(before[pair], sight, done, now)
            assert any(tells(told[pair], turns, chapter) for turns in possible), (
                f"told {told[pair]} of {pair}\nwhere one of {possible} was to be told\n"
                f"{chapter}\n{before[pair]}\n{sight}"
            )
            chapter.note(sight, done, told[pair])
            settled = done.lapsed or sight.user_id in done.users
            if sight.current and (settled or sight.member):
                assert chapter.inside == sight.member, f"{chapter}\n{sight}"
        self.last = after


def tells(events: Sequence[SegmentChanged], turns: Sequence[Turn], chapter: Chapter) -> bool:
    """Whether these events tell of these turns, with the right times."""
    if [event.type for event in events] != [turn.type for turn in turns]:
        return False
    since = chapter.since
    for event, turn in zip(events, turns, strict=True):
        if not _is_told(event, turn, since):
            return False
        since = event.occurred_at
    return True


def _is_told(event: SegmentChanged, turn: Turn, since: datetime | None) -> bool:
    if turn.type == "segment.entered":
        until = None if turn.until == INFINITY else turn.until
        return (event.occurred_at, event.valid_until) == (turn.at, until)
    if turn.at is not None and event.occurred_at != turn.at:
        return False
    return event.valid_until == event.occurred_at and since is not None and since <= event.occurred_at
