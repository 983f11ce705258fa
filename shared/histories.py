"""Reads users' transactions from PostgreSQL as the arrays validity.py works on.

PostgreSQL sends each column as one string of its binary values, which numpy takes as it is: no Python
object is made for a row.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np

from shared.clock import to_us
from shared.database import Connection
from shared.looks import EVER, Needs
from shared.sqlfile import load_queries
from shared.transactions import Transactions
from shared.validity import ALWAYS, NEVER, Flags, Histories, Ids, Int64s

_queries = load_queries(__file__, "histories.sql")
_POSTGRES_EPOCH_US: Final = to_us(datetime(2000, 1, 1, tzinfo=UTC))
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
"""What the driver takes for PostgreSQL's -infinity."""


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
        is_topup=read_flags(rows["are_topups"])[order],
    )


async def load_transactions_between(
    connection: Connection, first: UUID, last: UUID, needs: Needs, now: datetime
) -> Transactions:
    """The counted transactions of the users with ids from first to last, as far as rules judged at `now`
    need them."""
    row = await connection.fetchrow(
        _queries.load_transactions_between,
        first,
        last,
        _LONG_AGO if needs.window_us == EVER else now - timedelta(microseconds=needs.window_us),
        needs.topups_only,
        needs.operators,
        needs.time,
        needs.cents,
        needs.operator,
        needs.kind,
    )
    assert row is not None, "an aggregate always has a row"
    user_id = read_ids(row["user_ids"])
    return Transactions(
        user_id=user_id,
        occurred_us=read_times(row["occurred"]) if needs.time else np.zeros(len(user_id), dtype=np.int64),
        cents=read_integers(row["cents"]) if needs.cents else np.zeros(len(user_id), dtype=np.int64),
        operator=read_ids(row["operators"]) if needs.operator else np.zeros(len(user_id), dtype="S16"),
        is_topup=read_flags(row["are_topups"]) if needs.kind else np.ones(len(user_id), dtype=np.bool_),
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


def read_flags(sent: bytes | None) -> Flags:
    """What boolsend made of flags."""
    return np.frombuffer(sent or b"", dtype=np.bool_)
