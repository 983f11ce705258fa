"""What an application answers to: its routes, and which of them are pages."""

from collections.abc import Iterable, Iterator

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute


def routes_of(api: FastAPI) -> Iterator[APIRoute]:
    """Every route of the application, those of its routers included; mounted files are none."""
    return _flat(api.routes)


def page_paths(api: FastAPI) -> list[str]:
    """The paths, parameters in braces, of what people can look at: whole pages and parts of them."""
    return [
        route.path_format for route in routes_of(api) if not route.include_in_schema and "GET" in (route.methods or ())
    ]


def _flat(routes: Iterable[BaseRoute]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from _flat(route.original_router.routes)
