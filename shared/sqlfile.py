"""Loads named queries from a .sql file.

A block starts with `-- name: load_offers`; the comment lines under it say what it is for.
"""

import re
from collections.abc import Iterator
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


class Queries:
    """The queries of one file, each an attribute holding its SQL text."""

    def __init__(self, path: Path) -> None:
        parts = _NAME.split(path.read_text(encoding="utf-8"))
        self._path = path
        self._sql = {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
        if len(self._sql) != len(parts) // 2:
            raise ValueError(f"{path}: two queries have the same name")

    def __getattr__(self, name: str) -> str:
        try:
            return self._sql[name]
        except KeyError:
            raise AttributeError(f"{self._path} has no query named {name}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._sql)


def load_queries(module_file: str, name: str = "queries.sql") -> Queries:
    """The queries of `name` in the folder of a module, given that module's `__file__`."""
    return Queries(Path(module_file).with_name(name))
