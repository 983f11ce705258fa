"""Reads users' transactions from PostgreSQL as the arrays validity.py works on.

PostgreSQL sends each column as one string of its binary values, which numpy takes as it is: no Python
object is made for a row.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import numpy as np

from shared.clock import to_us
from shared.database import Connection
from shared.sqlfile import load_queries
from shared.validity import ALWAYS, NEVER, Histories, Ids, Int64s

_queries = load_queries(__file__, "histories.sql")
_POSTGRES_EPOCH_US: Final = to_us(datetime(2000, 1, 1, tzinfo=UTC))


async def load_histories(connection: Connection, user_ids: Sequence[UUID], registered_us: Int64s) -> Histories:
    """The counted transactions of users, in the order of their ids, beside their registrations (n,)."""
    rows = await connection.fetchrow(_queries.load_transactions, user_ids)
    assert rows is not None, "an aggregate always has a row"
    user, occurred_us = read_integers(rows["places"]) - 1, read_times(rows["occurred"])
    order = np.lexsort((-occurred_us, user))
    return Histories(
        registered_us=registered_us,
        user=user[order],
        occurred_us=occurred_us[order],
        cents=read_integers(rows["cents"])[order],
        operator=read_ids(rows["operators"])[order],
        is_topup=np.frombuffer(rows["are_topups"] or b"", dtype=np.bool_)[order],
    )


def read_integers(sent: bytes | None, width: int = 8) -> Int64s:
    """What int8send (or int4send, with a width of 4) made of integers, one after another."""
    return np.frombuffer(sent or b"", dtype=f">i{width}").astype(np.int64)


def read_times(sent: bytes | None) -> Int64s:
    """What timestamptz_send made of times: microseconds since 1970, NEVER and ALWAYS for the infinities."""
    times = read_integers(sent)
    return np.where((times == NEVER) | (times == ALWAYS), times, times + _POSTGRES_EPOCH_US)


def read_ids(sent: bytes | None) -> Ids:
    """What uuid_send made of UUIDs."""
    return np.frombuffer(sent or b"", dtype="S16")
