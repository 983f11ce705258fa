"""Browsers that complain: whatever a customer should never see a page do fails the test that opened it."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from http import HTTPStatus
from types import TracebackType
from typing import Final, Protocol, Self
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, WebError

from shared.security import Role
from tests.support.site import NAMES, PASSWORD, Site

DESKTOP: Final = 1280
PHONE: Final = 390
HEIGHT: Final = 844
PATIENCE_S: Final = 30.0

REFUSED_LOAD: Final = "Failed to load resource: the server responded with a status of "
"""Chromium repeats every refused request on the console; the response itself is judged instead."""

REPORT_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (event) =>
  reportViolation(`${event.violatedDirective} forbids ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`));
"""


class Watch:
    """Sees to everything the pages of one test do, and remembers what they should not have done.

    That is: a warning or worse on the console, an exception, a violation of the Content-Security-Policy, a request
    that leaves the site, a server error, and a refusal (4xx) the test did not expect.
    """

    def __init__(self, site_url: str) -> None:
        self._host = urlsplit(site_url).netloc
        self._expected: Counter[int] = Counter()
        self._news = asyncio.Event()
        self.complaints: list[str] = []

    def expect(self, status: HTTPStatus, times: int = 1) -> None:
        """The test is about to provoke so many answers with this status; it must come to exactly that."""
        self._expected[status] += times

    async def over(self, context: BrowserContext) -> None:
        """Watch every page of this context from now on."""
        await context.expose_function("reportViolation", self._violated)
        await context.add_init_script(REPORT_VIOLATIONS)
        context.on("console", self._said)
        context.on("weberror", self._threw)
        context.on("request", self._asked)
        context.on("response", self._answered)

    def check(self) -> None:
        """Fail with all complaints, if there are any."""
        missing = [f"no answer with status {status} came, as expected" for status in self._expected.elements()]
        assert self.complaints + missing == []

    async def until(self, complaint: str) -> None:
        """Wait for a complaint with these words."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not any(complaint in each for each in self.complaints):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no complaint of {complaint}, only {self.complaints}") from None

    def _complain(self, what: str) -> None:
        self.complaints.append(what)
        self._news.set()

    def _violated(self, what: str) -> None:
        self._complain(f"Content-Security-Policy: {what}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("warning", "error") and not message.text.startswith(REFUSED_LOAD):
            self._complain(f"console {message.type}: {message.text} at {message.location}")

    def _threw(self, error: WebError) -> None:
        self._complain(f"exception: {error.error}")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != self._host:
            self._complain(f"request to {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status < HTTPStatus.BAD_REQUEST:
            return
        if self._expected[response.status] > 0:
            self._expected[response.status] -= 1
        else:
            self._complain(f"{response.request.method} {response.url}: {response.status}")


class Visitors:
    """Opens pages for people with browsers of their own, all under one watch."""

    def __init__(self, browser: Browser, site: Site, watch: Watch) -> None:
        self.watch = watch
        self._browser = browser
        self._site = site
        self._contexts = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._contexts.aclose()

    async def arrive(self, *, width: int = DESKTOP, dark: bool = False) -> Page:
        """A blank page of somebody nobody knows; paths are the site's."""
        context = await self._browser.new_context(
            base_url=self._site.url,
            viewport={"width": width, "height": HEIGHT},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        self._contexts.push_async_callback(context.close)
        await self.watch.over(context)
        return await context.new_page()

    async def sign_in(self, role: Role = Role.editor, *, width: int = DESKTOP, dark: bool = False) -> Page:
        """The first page that somebody with this role sees after signing in."""
        page = await self.arrive(width=width, dark=dark)
        await page.goto("/login")
        await page.fill("[name=name]", NAMES[role])
        await page.fill("[name=password]", PASSWORD)
        await page.press("[name=password]", "Enter")
        await page.wait_for_url("**/offers")
        return page


class Arrive(Protocol):
    """How `Visitors.arrive` is called."""

    async def __call__(self, *, width: int = DESKTOP, dark: bool = False) -> Page:
        """A blank page of somebody nobody knows."""


class SignIn(Protocol):
    """How `Visitors.sign_in` is called."""

    async def __call__(self, role: Role = Role.editor, *, width: int = DESKTOP, dark: bool = False) -> Page:
        """The first page that somebody with this role sees."""
