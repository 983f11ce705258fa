"""What can go wrong with an embedded server; each text is one line that a person can act on."""

from shared.errors import OffersError


class ServerError(OffersError):
    """A server did not start, or what it needs is in use."""


class MissingRequirement(ServerError):
    """Something that must be installed first is not: a wheel, Java or Maven."""
