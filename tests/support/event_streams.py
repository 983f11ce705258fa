"""Reads server-sent events in tests."""

import asyncio
import json
from typing import Any, Final

import httpx

SOON_S: Final = 20.0


class Reader:
    """Reads a stream of events."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next_figures(self) -> dict[str, Any]:
        """The next event's figures; comments are passed over."""
        async with asyncio.timeout(SOON_S):
            while True:
                line = await anext(self._lines)
                if line.startswith("data: "):
                    found: dict[str, Any] = json.loads(line.removeprefix("data: "))
                    return found
                assert line in ("", "event: figures", ": still here"), line

    async def ended(self) -> None:
        """Return once the server has ended the stream."""
        async with asyncio.timeout(SOON_S):
            async for _ in self._lines:
                pass
