"""The pages of a running site, each with an address at which there is something to see."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from shared.security import Role
from tests.support.routes import page_paths
from tests.support.site import Site


@dataclass(frozen=True, slots=True)
class Shown:
    """What one path shows."""

    name: str
    """The path's words, for file names and failures."""
    address: str
    whole: bool
    """A page with everything around it; otherwise a part of one, which the page asks for by itself."""


async def shown(site: Site) -> list[Shown]:
    """Everything an admin can look at: what is no HTML (streams, exports) and what leads elsewhere is left out."""
    headers = {"Accept": "text/html"}
    async with site.client(Role.admin) as client:
        found = []
        for path in page_paths(site.api):
            address = path.format_map(_parameters(site, path))
            async with client.stream("GET", address, headers=headers) as response:
                if response.status_code == HTTPStatus.OK and _is_html(response):
                    text = (await response.aread()).decode()
                    found.append(Shown(_name(path), address, text.lstrip().lower().startswith("<!doctype")))
                else:
                    assert response.status_code < HTTPStatus.BAD_REQUEST, f"{address}: {response.status_code}"
        return found


def _is_html(response: httpx.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/html")


def _name(path: str) -> str:
    return path.strip("/").replace("/", "-").replace("{", "").replace("}", "") or "home"


def _parameters(site: Site, path: str) -> Mapping[str, object]:
    """What stands for the parameters of a path. A page with another parameter must be given one here."""
    person = site.people[Role.editor] if path.startswith("/access") else site.campaign.users[0].user_id
    return {
        "offer_id": site.offers["LOYAL5"],
        "operator_id": site.campaign.operators["MTN"],
        "user_id": person,
    }
