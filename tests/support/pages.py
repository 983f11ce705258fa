"""The pages of a running site, each at addresses where there is something to see."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from uuid import UUID

import httpx
from playwright.async_api import Page

from shared.security import Role
from tests.support.routes import page_paths
from tests.support.site import Site

VIEWS: Final[Mapping[str, Mapping[str, str]]] = {
    "/offers": {"": "", "none": "?q=no+such+offer"},
    "/offers/{offer_id}/test": {"": "", "user": "?user={user_id}", "draft": "?user={user_id}&of=draft"},
    "/audit": {"": "", "offer": "?offer_id={offer_id}", "wrong": "?user_id=7", "none": "?actor=nobody"},
    "/audit/entries": {"": "?offer_id={offer_id}"},
    "/offers/{offer_id}/history": {"": "", "all": "?show=all"},
    "/users": {"": "", "found": "?user={user_id}", "later": "?user={user_id}&at=2030-01-01T00:00", "wrong": "?user=7"},
    "/users/offers": {"": "?user={user_id}&after={nobody}"},
}
"""Queries by which a page shows something else, by a name for each; other pages are looked at without one."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to see at one address."""

    name: str
    """The path's words, for file names and failures."""
    address: str
    whole: bool
    """A page with everything around it; otherwise a part of one, which the page asks for by itself."""


async def shown(site: Site, **parameters: object) -> list[Shown]:
    """Everything an admin can look at: what is no HTML (streams, exports) and what leads elsewhere is left out.

    `parameters` of paths replace those that stand for them by default.
    """
    found = []
    async with site.client(Role.admin) as client:
        for name, address in _addresses(site, parameters):
            async with client.stream("GET", address, headers={"Accept": "text/html"}) as response:
                if response.status_code == HTTPStatus.OK and _is_html(response):
                    text = (await response.aread()).decode()
                    found.append(Shown(name, address, text.lstrip().lower().startswith("<!doctype")))
                else:
                    assert response.status_code < HTTPStatus.BAD_REQUEST, f"{address}: {response.status_code}"
    return found


async def settled(page: Page) -> None:
    """Wait until the page has whatever it asks for by itself when it is opened; streams never end and don't count."""
    await page.wait_for_function("() => document.querySelectorAll('.htmx-request').length === 0")


def _addresses(site: Site, parameters: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for path in page_paths(site.api):
        known = {**_parameters(site, path), **parameters}
        words = path.strip("/").replace("/", "-").replace("{", "").replace("}", "") or "home"
        for view, query in VIEWS.get(path, {"": ""}).items():
            yield f"{words}-{view}".rstrip("-"), (path + query).format_map(known)


def _parameters(site: Site, path: str) -> Mapping[str, object]:
    """What stands for the parameters of a path. A page with another parameter must be given one here."""
    person = site.people[Role.editor] if path.startswith("/access") else site.campaign.users[0].user_id
    return {
        "nobody": UUID(int=0),
        "offer_id": site.offers["LOYAL5"],
        "operator_id": site.campaign.operators["MTN"],
        "request_id": site.requests[0],
        "user_id": person,
    }


def _is_html(response: httpx.Response) -> bool:
    kind: str = response.headers.get("content-type", "")
    return kind.startswith("text/html")
