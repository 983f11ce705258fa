"""Where somebody wanted to go before they had to sign in: only ever a page of ours."""

import re
from typing import Final
from urllib.parse import quote, urlsplit

from fastapi import Request

HOME: Final = "/"
_LENGTH_MAX: Final = 2_000
_LOCAL: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*", re.ASCII)
"""Browsers skip tabs and line ends, and read a backslash as a slash: `/\\t/elsewhere` would be another host."""
_NO_PAGE_TO_RETURN_TO: Final = ("/login", "/logout", "/api/", "/assets/")


def local_page(address: str | None) -> str:
    """The address, if it can be nothing but a page of ours, else the first page."""
    if address is None or len(address) > _LENGTH_MAX or not _LOCAL.fullmatch(address):
        return HOME
    return HOME if address.startswith(_NO_PAGE_TO_RETURN_TO) else address


def login_address(request: Request) -> str:
    """Where to sign in, and to come back from to what is shown now."""
    wanted = local_page(_shown(request))
    return "/login" if wanted == HOME else f"/login?next={quote(wanted, safe='/')}"


def _shown(request: Request) -> str | None:
    """The page a request asks for, or was made from; the browser names it in full."""
    if "hx-request" in request.headers:
        return _path_of(request.headers.get("hx-current-url"))
    if request.method == "GET":
        return _path_of(str(request.url))
    return _path_of(request.headers.get("referer"))


def _path_of(url: str | None) -> str | None:
    try:
        found = urlsplit(url or "")
    except ValueError:
        return None
    return found.path + (f"?{found.query}" if found.query else "")
