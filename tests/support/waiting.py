"""Waits in tests until the database says what is expected."""

import asyncio
from typing import Any

from shared.database import Pool

POLL_S = 0.05


async def until(pool: Pool, query: str, expected: object, *arguments: Any, timeout_s: float = 60.0) -> None:
    """Wait until the query's one value is the expected one; fail with the last value otherwise."""
    value: object = None
    try:
        async with asyncio.timeout(timeout_s):
            while (value := await pool.fetchval(query, *arguments)) != expected:  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(f"{query}: still {value!r}, not {expected!r}, after {timeout_s:g} s") from None
