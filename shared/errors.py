"""The exceptions of this project. Refusals of a request are values, not exceptions."""


class OffersError(Exception):
    """Anything this project raises on purpose; its text is fit to show to a person."""


class ConfigurationError(OffersError):
    """A setting is missing or malformed; one line a field."""


class NotAuthenticated(OffersError):
    """Nobody has signed in, or what they sent proves nothing any more."""


class NotPermitted(OffersError):
    """The caller's role is too low."""


class SessionsAway(OffersError):
    """Redis doesn't answer, so it can't be told who has signed in; API tokens need no Redis."""


class DeliveryError(OffersError):
    """Kafka did not take a message; the work it belongs to must be done again."""


class RequestTimeout(OffersError):
    """No reply arrived in time; the request may or may not have been decided."""
