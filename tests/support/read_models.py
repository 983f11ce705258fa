"""What topup and user events amount to, worked out by hand: what the segmenter's read models must say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from shared.database import Pool
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent


@dataclass(slots=True)
class ReadModels:
    """The deciding event of each topup, and the newest of each user (None: only topups named the user)."""

    topups: dict[UUID, TopupEvent] = field(default_factory=dict)
    users: dict[UUID, UserEvent | None] = field(default_factory=dict)

    def learn(self, events: Iterable[TopupEvent | UserEvent]) -> None:
        """Take events in, whatever their order and however often they come."""
        for event in events:
            if isinstance(event, TopupEvent):
                self._learn_topup(event)
            else:
                self._learn_user(event)

    def _learn_topup(self, event: TopupEvent) -> None:
        self.users.setdefault(event.user_id, None)
        known = self.topups.setdefault(event.topup_id, event)
        if known.type == "topup.reversed":
            return
        newer = (event.occurred_at, event.event_id) > (known.occurred_at, known.event_id)
        if event.type == "topup.reversed" or newer:
            self.topups[event.topup_id] = event

    def _learn_user(self, event: UserEvent) -> None:
        known = self.users.get(event.user_id)
        if known is None or (event.occurred_at, event.event_id) > (known.occurred_at, known.event_id):
            self.users[event.user_id] = event

    def topup_rows(self) -> Mapping[UUID, tuple[Any, ...]]:
        """Topups by id as stored. Of one reversed only that, and whose it is: nothing else of it counts."""
        return {
            id_: (event.user_id, "reversed")
            if event.type == "topup.reversed"
            else (
                event.user_id,
                event.type.removeprefix("topup."),
                event.operator_id,
                event.kind,
                event.amount,
                event.occurred_at,
            )
            for id_, event in self.topups.items()
        }

    def user_rows(self) -> Mapping[UUID, tuple[datetime | None, list[str]]]:
        """Registration and roles by user id."""
        return {
            id_: (None, []) if event is None else (event.registered_at, list(event.roles))
            for id_, event in self.users.items()
        }


async def stored_topups(pool: Pool) -> Mapping[UUID, tuple[UUID, str, UUID, str, Decimal, datetime] | tuple[UUID, str]]:
    """Topups as ReadModels.topup_rows has them."""
    rows = await pool.fetch("SELECT id, user_id, status, operator_id, kind, amount, occurred_at FROM topup_requests")
    return {row["id"]: tuple(row)[1:3] if row["status"] == "reversed" else tuple(row)[1:] for row in rows}


async def stored_users(pool: Pool) -> Mapping[UUID, tuple[datetime | None, list[str]]]:
    """Users as ReadModels.user_rows has them."""
    return {row["id"]: tuple(row)[1:] for row in await pool.fetch("SELECT id, created_at, roles FROM users")}
