"""Events as upstream services send them, of a user who has just registered."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from shared.clock import utc_now
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent


def registration(user: UUID) -> UserEvent:
    """They register."""
    now = utc_now()
    return UserEvent(event_id=uuid4(), type="user.registered", user_id=user, registered_at=now, occurred_at=now)


def topup(user: UUID) -> TopupEvent:
    """They top up 5.00."""
    return TopupEvent(
        event_id=uuid4(),
        type="topup.succeeded",
        topup_id=uuid4(),
        user_id=user,
        operator_id=uuid4(),
        amount=Decimal("5.00"),
        occurred_at=utc_now() - timedelta(minutes=1),
    )
