"""What others import: the checkout's way to redeem offers, and upstream services' way to publish events."""

from shared.client.errors import ClientClosed, UnreadableReply
from shared.client.publishers import EventPublisher
from shared.client.redemption import RedemptionClient

__all__ = ["ClientClosed", "EventPublisher", "RedemptionClient", "UnreadableReply"]
