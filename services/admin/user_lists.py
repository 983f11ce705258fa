"""Lists of user ids as people paste or upload them: one a line, or CSV. Pure."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

COLUMN: Final = "user_id"
SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class UserList:
    """The ids that could be read, and for each line that could not: its number and what is wrong with it."""

    users: set[UUID] = field(default_factory=set)
    bad: list[tuple[int, str]] = field(default_factory=list)


def read_users(text: str) -> UserList:
    """Read ids from lines: of CSV the column `user_id`, or the first where no header names it."""
    found = UserList()
    place = 0
    for number, cells in _lines(text):
        if number == 1 and not _is_id(cells[0]) and COLUMN in (names := [cell.lower() for cell in cells]):
            place = names.index(COLUMN)
        elif place >= len(cells):
            found.bad.append((number, f"has no column {place + 1}"))
        elif _is_id(cells[place]):
            found.users.add(UUID(cells[place]))
        else:
            found.bad.append((number, f"“{cells[place][:SHOWN]}” is no user id"))
    return found


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    lines = text.removeprefix("\ufeff").splitlines()
    separator = ";" if lines and lines[0].count(";") > lines[0].count(",") else ","
    for number, line in enumerate(lines, 1):
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
        if any(cells):
            yield number, cells


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
