"""Ids that follow from names: what is decided a second time gets the ids it had the first time. Pure."""

from hashlib import sha1
from typing import Final
from uuid import UUID

REDEMPTION_IDS: Final = UUID("6f1d6a52-5b0c-4c1e-9a55-0f6c5c1f7a01")
"""Namespace of redemption ids: one request can only ever make one redemption."""


def named_id(namespace: UUID, name: str) -> UUID:
    """The version 5 UUID of a name, as uuid.uuid5 makes it, at half the cost."""
    digest = sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)


def redemption_id_of(request_id: UUID) -> UUID:
    """The id of the redemption that a request makes if it is accepted."""
    return named_id(REDEMPTION_IDS, str(request_id))
