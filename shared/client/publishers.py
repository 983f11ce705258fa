"""Publishes what upstream services know: topups, other transactions and users, keyed by user."""

from collections.abc import Iterable
from types import TracebackType

from shared.broker import Outgoing, Publisher
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.settings import KafkaSettings
from shared.topics import TOPUPS, USERS


class EventPublisher:
    """Publishes topup and user events; every method returns once the cluster has them.

    Events of one user keep their order. Publishing one again does no harm: consumers go by its ids.
    All methods raise DeliveryError if an event was not taken.
    """

    def __init__(self, settings: KafkaSettings, service: str = "upstream") -> None:
        """`service` names the caller in the brokers' logs."""
        self._publisher = Publisher(settings, service)

    async def __aenter__(self) -> "EventPublisher":
        await self._publisher.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._publisher.stop()

    async def topup(self, event: TopupEvent) -> None:
        """Publish one topup or other paid transaction."""
        await self.topups([event])

    async def topups(self, events: Iterable[TopupEvent]) -> None:
        """Publish many topups at once."""
        await self._publisher.publish_all(_keyed(TOPUPS, event) for event in events)

    async def user(self, event: UserEvent) -> None:
        """Publish one registration or change of a user."""
        await self.users([event])

    async def users(self, events: Iterable[UserEvent]) -> None:
        """Publish many users at once."""
        await self._publisher.publish_all(_keyed(USERS, event) for event in events)


def _keyed(topic: str, event: TopupEvent | UserEvent) -> Outgoing:
    return Outgoing(topic, key=str(event.user_id).encode(), value=event.to_bytes())
