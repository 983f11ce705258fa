"""The web page: one module an area, each with its routes."""

from collections.abc import Iterable

from fastapi import APIRouter

from services.admin.pages.editor import editor_routes
from services.admin.pages.history import history_pages
from services.admin.pages.insight import insight_pages
from services.admin.pages.members import member_pages
from services.admin.pages.offer_test import offer_test_pages
from services.admin.pages.offers import offer_routes
from services.admin.pages.people import people_routes
from services.admin.pages.publishing import publishing_routes
from services.admin.pages.rendering import Pages
from services.admin.pages.signing_in import account_routes, login_routes
from services.admin.pages.tokens import token_routes
from services.admin.pages.users import user_pages


def page_routes(pages: Pages) -> Iterable[APIRouter]:
    """The routes of every area."""
    return (
        publishing_routes(pages),
        editor_routes(pages),
        offer_routes(pages),
        insight_pages(pages),
        member_pages(pages),
        login_routes(pages),
        account_routes(pages),
        people_routes(pages),
        token_routes(pages),
        user_pages(pages),
        offer_test_pages(pages),
        history_pages(pages),
    )
