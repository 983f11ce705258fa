"""A browser for the whole run, a site for each module, and pages that fail their test for anything wrong with them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from playwright.async_api import Browser, async_playwright

from shared.database import Pool
from shared.settings import KafkaSettings
from tests.support.browsing import Arrive, SignIn, Visitors, Watch
from tests.support.site import Site, running_site

CHROMIUM: Final = Path("/usr/bin/chromium")
"""Debian's. Where it is missing, the one that `playwright install chromium` fetches will do."""


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, without a window."""
    async with async_playwright() as playwright:
        program = CHROMIUM if CHROMIUM.exists() else Path(playwright.chromium.executable_path)
        if not program.exists():
            pytest.skip(f"no browser: neither {CHROMIUM} nor Playwright's own Chromium is installed")
        browser = await playwright.chromium.launch(executable_path=program)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def site(
    shared_database_url: str, unchanged: Pool, redis_url: str, shared_kafka: KafkaSettings
) -> AsyncIterator[Site]:
    """The admin site with the sample campaign in it, which a module's tests share."""
    async with running_site(shared_database_url, redis_url, shared_kafka, unchanged) as running:
        yield running


@pytest.fixture
async def visitors(browser: Browser, site: Site) -> AsyncIterator[Visitors]:
    """People with browsers of their own; when the test is done, nothing they saw may have been wrong."""
    async with Visitors(browser, site, Watch(site.url)) as visitors:
        yield visitors
    visitors.watch.check()


@pytest.fixture
def arrive(visitors: Visitors) -> Arrive:
    """Opens a blank page of somebody who is not signed in: `await arrive(width=PHONE, dark=True)`."""
    return visitors.arrive


@pytest.fixture
def signed_in(visitors: Visitors) -> SignIn:
    """Signs somebody in, in a browser of their own: `page = await signed_in(Role.editor)`."""
    return visitors.sign_in


@pytest.fixture
def watch(visitors: Visitors) -> Watch:
    """What sees to the test's pages: tell it which refusals to expect."""
    return visitors.watch
