"""Going through a page by keyboard alone."""

from typing import Final

from playwright.async_api import Locator, Page

TABS_MAX: Final = 200
FOCUSED: Final = "element => element === document.activeElement"


async def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until the element has the focus; it must be reachable within a round."""
    for _ in range(TABS_MAX):
        if await wanted.evaluate(FOCUSED):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} can't be reached by keyboard")
