"""What can go wrong with a call besides a timeout (shared.errors.RequestTimeout)."""

from shared.errors import OffersError


class ClientClosed(OffersError):
    """The client was closed while the call waited, or before it; the request may have been decided."""


class UnreadableReply(OffersError):
    """A reply to the call arrived but is no redemption reply; the request was decided."""
