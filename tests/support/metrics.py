"""Reads /metrics and the other probes in tests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

POLL_S = 0.1


class Scrape:
    """The samples of one look at /metrics."""

    def __init__(self, text: str) -> None:
        self.samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def names(self) -> set[str]:
        """The names of all samples, `…_bucket` and the like included."""
        return {sample.name for sample in self.samples}

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples with this name and these labels among theirs."""
        return sum(
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        )


def address(folder: Path, name: str) -> str:
    """Where the worker with this name listens, by its log in the folder."""
    lines = [line for line in (folder / f"{name}.log").read_text().splitlines() if '"http.listening"' in line]
    return f"http://127.0.0.1:{json.loads(lines[-1])['port']}"


async def scrape(url: str) -> Scrape:
    """A look at a process's metrics; `url` is without the path."""
    async with httpx.AsyncClient(timeout=20) as client:
        response = await client.get(f"{url}/metrics")
        assert response.status_code == 200, response.text
        return Scrape(response.text)


async def readiness(url: str) -> tuple[int, str]:
    """The status of /readyz, and what it says is missing."""
    async with httpx.AsyncClient(timeout=20) as client:
        response = await client.get(f"{url}/readyz")
        return response.status_code, response.json().get("detail", "")


async def until_true(look: Callable[[], Awaitable[bool]], what: str, timeout_s: float = 60.0) -> None:
    """Wait until a look shows what is expected; fail naming it otherwise."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await look():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s:g} s: {what}") from None


async def until_ready(url: str, status: int = 200, timeout_s: float = 60.0) -> str:
    """Wait until /readyz answers with this status; what it says is missing."""
    found = (0, "")

    async def look() -> bool:
        nonlocal found
        found = await readiness(url)
        return found[0] == status

    await until_true(look, f"{url}/readyz answers {status}", timeout_s)
    return found[1]
