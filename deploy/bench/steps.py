"""Tells a person what a benchmark is doing, on standard error, so that standard output is the result alone."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


class Steps:
    """Shows the step under way, and each finished one with what it took."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)

    @contextmanager
    def step(self, text: str) -> Iterator[Callable[[str], None]]:
        """A step; the function given shows how far it is."""
        started = time.monotonic()
        with self._console.status(f"{text} …") as status:
            yield lambda detail: status.update(f"{text}: {detail} …")
        self.note(f"[green]✓[/] {text:<56} [dim]{time.monotonic() - started:6.1f} s[/]")

    def note(self, text: str) -> None:
        """A line of its own."""
        self._console.print(f"  {text}", soft_wrap=True)
