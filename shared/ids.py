"""UUIDs as numpy arrays of 16 bytes each. Pure."""

from collections.abc import Iterable
from uuid import UUID

import numpy as np

from shared.validity import Flags, Ids, Int64s


def to_ids(uuids: Iterable[UUID]) -> Ids:
    """The UUIDs as an array, in their order."""
    return np.array([uuid.bytes for uuid in uuids], dtype="S16")


def to_uuids(ids: Ids) -> list[UUID]:
    """The ids as UUIDs, in their order."""
    # numpy takes zero bytes at an end for padding.
    return [UUID(bytes=id_.ljust(16, b"\0")) for id_ in ids.tolist()]


def places_in(ordered: Ids, wanted: Ids) -> tuple[Int64s, Flags]:
    """Where in `ordered` (ascending, each once) each of the wanted ids stands, and whether it is there at all;
    the place of one that isn't means nothing."""
    place = np.searchsorted(ordered, wanted)
    found = place < len(ordered)
    found[found] = ordered[place[found]] == wanted[found]
    return place, found
