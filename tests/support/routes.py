"""What an application answers to: every way into it, and which of them lead to pages."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Mount

from tests.support.admin import NOBODY


@dataclass(frozen=True, slots=True)
class Way:
    """A method and a path, parameters in braces; `*` is the method of a mounted application."""

    method: str
    path: str
    is_page: bool
    """A page or a part of one, which the API's document does not name."""

    @property
    def url(self) -> str:
        """The path with an id for each of its parameters; there is nothing of that id."""
        return re.sub(r"\{[^}]+\}", str(NOBODY), self.path)


def every_way(api: FastAPI) -> list[Way]:
    """Every route of the application, those of its routers included."""
    return sorted(_ways(api.routes), key=lambda way: (way.path, way.method))


def page_paths(api: FastAPI) -> list[str]:
    """The paths, parameters in braces, of what people can look at: whole pages and parts of them."""
    return [way.path for way in every_way(api) if way.is_page and way.method == "GET"]


def _ways(routes: Iterable[Any]) -> Iterator[Way]:
    for route in routes:
        if isinstance(route, Mount):
            yield Way("*", route.path, is_page=False)
        elif isinstance(route, APIRoute):
            for method in route.methods or ():
                yield Way(method, route.path_format, is_page=not route.include_in_schema)
        else:  # Any other kind must not pass unseen.
            yield from _ways(route.original_router.routes)
