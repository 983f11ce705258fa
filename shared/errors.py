"""The exceptions of this project. Refusals of a request are values, not exceptions."""


class OffersError(Exception):
    """Anything this project raises on purpose; its text is fit to show to a person."""


class ConfigurationError(OffersError):
    """A setting is missing or malformed; one line a field."""


class NotAuthenticated(OffersError):
    """The bearer token is missing, unknown or revoked."""


class NotPermitted(OffersError):
    """The caller's role is too low."""


class DeliveryError(OffersError):
    """Kafka did not take a message; the work it belongs to must be done again."""


class RequestTimeout(OffersError):
    """No reply arrived in time; the request may or may not have been decided."""
