"""The watch over the pages sees what it is there for."""

from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest
from playwright.async_api import Browser

from tests.support.browsing import Visitors, Watch
from tests.support.site import Site

MISDEEDS = {
    "console warning: careless": "console.warn('careless')",
    "console error: broken": "console.error('broken')",
    "exception: thrown": "setTimeout(() => { throw new Error('thrown') })",
    "request to http://offers.invalid/": "setTimeout(() => { location.href = 'http://offers.invalid/' })",
    "Policy: connect-src forbids http://offers.invalid/": "fetch('http://offers.invalid/').catch(() => 0)",
    "Policy: script-src-attr forbids inline": "document.body.innerHTML = '<img onerror=run() src=/assets/none>'",
    "Policy: style-src-attr forbids inline": "document.body.innerHTML = '<p style=color:red>'",
    "Policy: script-src-elem forbids inline": """
        const script = document.createElement('script');
        script.textContent = 'run()';
        document.body.append(script);
    """,
    "/api/nothing: 404": "fetch('/api/nothing')",
}


@pytest.fixture
async def careless(browser: Browser, site: Site) -> AsyncIterator[Visitors]:
    """Visitors whose pages may do anything, seen but not judged."""
    async with Visitors(browser, site, Watch(site.url)) as visitors:
        yield visitors


@pytest.mark.parametrize(("complaint", "script"), MISDEEDS.items(), ids=MISDEEDS)
async def test_it_complains_of_a(careless: Visitors, complaint: str, script: str) -> None:
    page = await careless.arrive()
    await page.goto("/login")
    careless.watch.check()
    await page.evaluate(f"() => {{ {script} }}")
    await careless.watch.until(complaint)
    with pytest.raises(AssertionError):
        careless.watch.check()


async def test_a_refusal_that_is_expected_must_come(careless: Visitors) -> None:
    page = await careless.arrive()
    careless.watch.expect(HTTPStatus.NOT_FOUND)
    with pytest.raises(AssertionError, match="404"):
        careless.watch.check()
    await page.goto("/api/nothing")
    careless.watch.check()
