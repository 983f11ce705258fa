"""Counts whom rule sets match, a few at once: of one editor's counts only the newest is finished."""

import asyncio
from typing import Final

from services.admin import previewing
from services.admin.models import Preview, PreviewResult
from shared.database import Pool
from shared.http.problems import unavailable

PREVIEW_S_MAX: Final = 60.0
WAIT_S_MAX: Final = 10.0


class Reach:
    """Previews on a pool, each of which takes two of its connections."""

    def __init__(self, pool: Pool, previews_max: int) -> None:
        self._pool = pool
        self._places = asyncio.Semaphore(previews_max)
        self._counting: dict[str, asyncio.Task[PreviewResult]] = {}

    async def preview(self, wanted: Preview, wait_s_max: float = 0.0) -> PreviewResult:
        """Whom a rule set matches now.

        Raises:
            Refused: if too many are being counted already, or it takes too long.
        """
        if self._places.locked() and not wait_s_max:
            raise unavailable("as many previews as allowed are under way")
        try:
            await asyncio.wait_for(self._places.acquire(), wait_s_max or None)
        except TimeoutError:
            raise unavailable("too many others are counting; try again") from None
        try:
            return await previewing.preview(self._pool, wanted, PREVIEW_S_MAX)
        except TimeoutError:
            raise unavailable(f"the preview took longer than {PREVIEW_S_MAX:.0f} s") from None
        finally:
            self._places.release()

    async def newest(self, key: str, wanted: Preview) -> PreviewResult | None:
        """Whom a rule set matches now; None if a newer count with the same key began meanwhile.

        Raises:
            Refused: if too many are being counted already, or it takes too long.
        """
        before = self._counting.get(key)
        task = self._counting[key] = asyncio.create_task(self.preview(wanted, WAIT_S_MAX))
        if before is not None:
            before.cancel()
        try:
            await asyncio.wait([task])
            return None if task.cancelled() else task.result()
        finally:
            if self._counting.get(key) is task:
                del self._counting[key]
                task.cancel()
