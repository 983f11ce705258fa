"""Transactions by user id, as a range of users' are read, on their way to being Histories. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from shared.ids import places_in
from shared.validity import Flags, Histories, Ids, Int64s


@dataclass(frozen=True, slots=True)
class Transactions:
    """m counted transactions by user id, each user's newest first; columns (m,) as in Histories. Those that
    nobody needs hold anything."""

    user_id: Ids
    occurred_us: Int64s
    cents: Int64s
    operator: Ids
    is_topup: Flags

    def of(self, ids: Ids, registered_us: Int64s) -> Histories:
        """The histories of users in the order of their ids; transactions of others are left out."""
        starts = np.flatnonzero(_differs_from_before(self.user_id))
        place, known = places_in(ids, self.user_id[starts])
        rows = np.diff(starts, append=len(self.user_id))
        chosen = slice(None) if known.all() else np.repeat(known, rows)
        return Histories(
            registered_us=registered_us,
            user=np.repeat(place, rows)[chosen],
            occurred_us=self.occurred_us[chosen],
            cents=self.cents[chosen],
            operator=self.operator[chosen],
            is_topup=self.is_topup[chosen],
        )


NO_TRANSACTIONS: Final = Transactions(
    user_id=np.empty(0, dtype="S16"),
    occurred_us=np.empty(0, dtype=np.int64),
    cents=np.empty(0, dtype=np.int64),
    operator=np.empty(0, dtype="S16"),
    is_topup=np.empty(0, dtype=np.bool_),
)


def _differs_from_before(ids: Ids) -> Flags:
    """Whether each id is another than the one before it; the first one is."""
    # As pairs of integers, which numpy compares many times faster than bytes.
    pairs = ids.view(np.uint64).reshape(-1, 2)
    differs = np.ones(len(ids), dtype=np.bool_)
    differs[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return differs
