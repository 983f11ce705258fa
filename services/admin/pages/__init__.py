"""The web page: one module an area, each with its routes."""

from collections.abc import Iterable

from fastapi import APIRouter

from services.admin.pages.offers import offer_routes
from services.admin.pages.rendering import Pages


def page_routes(pages: Pages) -> Iterable[APIRouter]:
    """The routes of every area."""
    return (offer_routes(pages),)
