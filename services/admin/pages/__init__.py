"""The web page: one module an area, each with its routes."""

from collections.abc import Iterable

from fastapi import APIRouter

from services.admin.pages.editor import editor_routes
from services.admin.pages.insight import insight_pages
from services.admin.pages.members import member_pages
from services.admin.pages.offers import offer_routes
from services.admin.pages.publishing import publishing_routes
from services.admin.pages.rendering import Pages


def page_routes(pages: Pages) -> Iterable[APIRouter]:
    """The routes of every area."""
    return (
        publishing_routes(pages),
        editor_routes(pages),
        offer_routes(pages),
        insight_pages(pages),
        member_pages(pages),
    )
