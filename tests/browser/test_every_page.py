"""Every page there is, at desktop and phone width, light and dark: sound, accessible, and no wider than the screen.

Each width and each theme is looked at once. With OFFERS_SCREENSHOTS set to a folder, all four pairs of them are, and a
picture of each is left there.
"""

import os
from pathlib import Path

import pytest
from playwright.async_api import Page

from shared.security import Role
from tests.support.accessibility import barriers
from tests.support.browsing import DESKTOP, PHONE, Arrive, SignIn
from tests.support.pages import shown
from tests.support.site import Site

OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
PICTURES = os.environ.get("OFFERS_SCREENSHOTS")
looks = pytest.mark.parametrize(
    ("width", "dark"),
    [(DESKTOP, False), (PHONE, True), *([(DESKTOP, True), (PHONE, False)] if PICTURES else [])],
    ids=["desktop-light", "phone-dark", *(["desktop-dark", "phone-light"] if PICTURES else [])],
)


@looks
async def test_each_page_is_fit_to_show(signed_in: SignIn, site: Site, width: int, dark: bool) -> None:
    page = await signed_in(Role.admin, width=width, dark=dark)
    pages = [each for each in await shown(site) if each.whole]
    assert "offers" in [each.name for each in pages]
    unfit = []
    for each in pages:
        await page.goto(each.address)
        unfit += await judge(page, each.name, width, dark)
    assert not unfit, "\n".join(unfit)


@looks
async def test_the_way_in_is_fit_to_show(arrive: Arrive, width: int, dark: bool) -> None:
    page = await arrive(width=width, dark=dark)
    await page.goto("/login")
    unfit = await judge(page, "login", width, dark)
    assert not unfit, "\n".join(unfit)


async def judge(page: Page, name: str, width: int, dark: bool) -> list[str]:
    """What is wrong with the page as it stands; takes its picture first."""
    if PICTURES:
        theme = "dark" if dark else "light"
        await page.screenshot(path=Path(PICTURES) / f"{name}-{width}-{theme}.png", full_page=True)
    wrong = await barriers(page)
    if not await page.title():
        wrong.append("it has no title")
    if await page.locator("h1").count() != 1:
        wrong.append("it has no heading, or more than one")
    if await page.evaluate(OVERHANG) > 0:
        wrong.append("it is wider than the screen")
    return [f"{name}: {each}" for each in dict.fromkeys(wrong)]
