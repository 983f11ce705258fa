"""Carries steps out on the segmenter's own parts, one after the other, at the instant each is to happen."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, assert_never
from uuid import UUID

from services.segmenter.app import create_segmenter
from services.segmenter.lapse import end_lapsed
from services.segmenter.rebuild import rebuild_chunk, request_rebuilds
from shared.broker import Publisher
from shared.database import Pool
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.settings import KafkaSettings
from tests.properties.strategies import OPERATORS
from tests.support.campaign import add_offer
from tests.support.clock import ClockedDatabase
from tests.support.messages import received
from tests.support.read_models import ReadModels
from tests.support.segment_edits import apply_change
from tests.support.segment_sights import lapses_ahead
from tests.support.segment_steps import (
    DAY,
    TICK,
    Doing,
    Edit,
    Lapses,
    Nothing,
    OneTopup,
    OneUser,
    Pass,
    ReachLapse,
    Rebuild,
    Redelivery,
    Renewal,
    StatusChange,
    TimerLook,
    Topups,
    Undoing,
    Users,
)

START: Final = datetime(2026, 11, 24, 12, 30, 15, 123456, tzinfo=UTC)
ROUNDS_MAX: Final = 100
"""More often there is nothing left to end or to rebuild among a handful of users and offers."""

_EMPTY: Final = """
DELETE FROM offer_redemptions; DELETE FROM redemption_decisions; DELETE FROM offers; DELETE FROM users;
DELETE FROM topup_requests; DELETE FROM outbox
"""

_worlds = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Done:
    """What a step did: whose events came, which offer changed, whether a rebuild or the lapse timer ran."""

    users: frozenset[UUID] = frozenset()
    offer: UUID | None = None
    rebuilt: bool = False
    lapsed: bool = False


class World:
    """Users, offers and the clock. The ids were never used before; they are in the order of their numbers."""

    def __init__(self, database: ClockedDatabase, users: int, offers: int) -> None:
        """Nothing is stored before `begin`."""
        number = next(_worlds) << 32
        self.users = [UUID(int=number + 100 + user) for user in range(users)]
        self.offers = [UUID(int=number + 200 + offer) for offer in range(offers)]
        self.pool: Pool = database.pool
        self.now = START
        self.read_models = ReadModels()
        self._database = database
        nowhere = Publisher(KafkaSettings(kafka_bootstrap_servers="localhost:1"), "test")
        self._segmenter = create_segmenter(database.pool, nowhere)
        self._batches: list[Sequence[TopupEvent | UserEvent]] = []
        self._serial = itertools.count(1)

    async def begin(self) -> None:
        """Empty the database, and make offers without rules."""
        await self._database.set(self.now)
        await self.pool.execute(_EMPTY)
        for offer in self.offers:
            await add_offer(self.pool, id=offer, code=str(offer))

    async def wait(self, wait: Pass | ReachLapse) -> None:
        """Let time pass, at least a microsecond."""
        match wait:
            case Pass():
                moment = self.now + wait.days * DAY + wait.ticks * TICK
            case ReachLapse():
                ahead = await lapses_ahead(self.pool, self.users)
                moment = ahead[wait.which % len(ahead)] + wait.ticks * TICK if ahead else self.now
            case _:
                assert_never(wait)
        self.now = max(moment, self.now + TICK)
        await self._database.set(self.now)

    async def do(self, doing: Doing) -> Done:
        """Have it happen now."""
        match doing:
            case Nothing():
                return Done()
            case Topups():
                return await self._deliver([self._topup(event) for event in doing.events] * doing.times)
            case Renewal():
                return await self._deliver([await self._renewal(doing)])
            case Undoing():
                return await self._deliver(self._undoing(doing))
            case Users():
                return await self._deliver([self._user(event) for event in doing.events])
            case Redelivery():
                return await self._redeliver(doing.which)
            case Edit() | StatusChange():
                return await self._change(doing)
            case Rebuild():
                await self._rebuild(doing)
                return Done(rebuilt=True)
            case Lapses():
                await self._end_lapses()
                return Done(lapsed=True)
            case TimerLook():
                await self._segmenter.timer.look()
                return Done(lapsed=True)
            case _:
                assert_never(doing)

    async def _redeliver(self, which: int) -> Done:
        return await self._deliver(self._batches[which % len(self._batches)]) if self._batches else Done()

    async def _deliver(self, batch: Sequence[TopupEvent | UserEvent]) -> Done:
        self._batches.append(batch)
        topups = [event for event in batch if isinstance(event, TopupEvent)]
        users = [event for event in batch if isinstance(event, UserEvent)]
        if topups:
            await self._segmenter.handler.topups(received(topups))
        if users:
            await self._segmenter.handler.users(received(users))
        self.read_models.learn(batch)
        return Done(users=frozenset(event.user_id for event in batch))

    async def _change(self, change: Edit | StatusChange) -> Done:
        offer = self.offers[change.offer]
        changed = await apply_change(self.pool, offer, change, self.users, self.now)
        if change.told:
            await self._segmenter.handler.offers_changed(received([changed]))
        return Done(offer=offer)

    async def _rebuild(self, rebuild: Rebuild) -> None:
        if rebuild.asked:
            await request_rebuilds(self.pool, None, even_if_current=rebuild.anyway)
        for _ in range(ROUNDS_MAX if rebuild.chunks is None else rebuild.chunks):
            if await rebuild_chunk(self.pool, chunk_users=rebuild.chunk_users) is None:
                return
        assert rebuild.chunks is not None, "rebuilds never end"

    async def _end_lapses(self) -> None:
        for _ in range(ROUNDS_MAX):
            if await end_lapsed(self.pool) == 0:
                return
        raise AssertionError("there is always something left to end")

    def _event_id(self, rank: int) -> UUID:
        return UUID(int=(rank << 64) + next(self._serial))

    def _topup(self, event: OneTopup) -> TopupEvent:
        user = self.users[event.user]
        return TopupEvent(
            event_id=self._event_id(event.rank),
            type=event.type,
            topup_id=UUID(int=(user.int << 8) + event.topup),
            user_id=user,
            operator_id=OPERATORS[event.operator],
            kind=event.kind,
            amount=Decimal(event.amount),
            occurred_at=event.age.before(self.now),
        )

    async def _renewal(self, renewal: Renewal) -> TopupEvent:
        rows = await self.pool.fetch("SELECT DISTINCT user_id FROM offer_segment_members ORDER BY user_id")
        members = [row["user_id"] for row in rows] or self.users
        user = members[renewal.which % len(members)]
        return TopupEvent(
            event_id=self._event_id(0),
            type="topup.succeeded",
            topup_id=self._event_id(1),
            user_id=user,
            operator_id=OPERATORS[renewal.operator],
            kind=renewal.kind,
            amount=Decimal(50),
            occurred_at=self.now,
        )

    def _undoing(self, undoing: Undoing) -> list[TopupEvent]:
        counted = [event for event in self.read_models.topups.values() if event.type == "topup.succeeded"]
        if not counted:
            return []
        news = {"event_id": self._event_id(0), "type": undoing.type, "occurred_at": self.now}
        return [counted[undoing.which % len(counted)].model_copy(update=news)]

    def _user(self, event: OneUser) -> UserEvent:
        return UserEvent(
            event_id=self._event_id(event.rank),
            type="user.updated",
            user_id=self.users[event.user],
            registered_at=event.registered.before(self.now),
            roles=list(event.roles),
            occurred_at=event.age.before(self.now),
        )
