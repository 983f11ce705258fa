"""Renders templates: what every page has around it, and how values look."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from services.admin.access import Access
from services.admin.pages import forms
from services.admin.pages.assets import asset_url
from services.admin.pages.next_page import login_address
from services.admin.reach import Reach
from services.admin.wording import measure_text, reason_text
from shared.database import Pool
from shared.http.problems import Refused
from shared.outbox import OutboxRelay
from shared.security import Caller

TEMPLATES: Final = Path(__file__).parents[1] / "templates"
_NO_PAGES: Final = ("/api/", "/assets/", "/healthz", "/readyz", "/metrics")
_PHRASES: Final = {
    HTTPStatus.NOT_FOUND: "There is nothing here",
    HTTPStatus.FORBIDDEN: "Your role does not allow this",
    HTTPStatus.SERVICE_UNAVAILABLE: "This can't be answered just now",
}


def money(amount: Decimal | str) -> str:
    """1234.5 as 1,234.50."""
    return f"{Decimal(amount):,.2f}"


def number(count: int) -> str:
    """1234567 as 1,234,567."""
    return f"{count:,}"


def percent(part: float, whole: float) -> str:
    """A share in percent: one digit after the point, and never 0 or 100 unless it is."""
    if not whole:
        return "0 %"
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.1f} %".replace(".0 %", " %")


def moment(at: datetime | None) -> Markup:
    """An instant in UTC, to the minute, as programs and people read it."""
    if at is None:
        return Markup("—")
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.isoformat(), f"{utc:%Y-%m-%d %H:%M:%S} UTC", f"{utc:%-d %b %Y, %H:%M}"
    )


def operator_name(value: str | None, operators: Mapping[UUID, str]) -> str:
    """What people call the operator with an id; the text as it is where it has no name."""
    try:
        return operators.get(UUID(value or ""), value or "")
    except ValueError:
        return value or ""


def icon(name: str, label: str | None = None) -> Markup:
    """An icon of the sprite (deploy/assets names them); for the eye only, unless it has a label."""
    spoken = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="icon" {}><use href="{}#{}"></use></svg>').format(
        spoken, asset_url("vendor/icons.svg"), name
    )


def create_environment() -> Environment:
    """Jinja with everything templates may use."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"asset": asset_url, "icon": icon}
    environment.filters |= {"money": money, "number": number, "percent": percent, "moment": moment}
    environment.filters |= {"local": forms.local_time, "operator_name": operator_name}
    environment.filters |= {"measure": measure_text, "reason": reason_text}
    return environment


_environment: Final = create_environment()


@dataclass(frozen=True, slots=True)
class Pages:
    """What the pages' routes work with."""

    pool: Pool
    relay: OutboxRelay
    access: Access
    reach: Reach
    reach_confirm_percent: int
    """Publishing to a greater share of the known users asks again."""

    def render(
        self,
        request: Request,
        caller: Caller | None,
        template: str,
        status: HTTPStatus = HTTPStatus.OK,
        **values: Any,
    ) -> HTMLResponse:
        """A page, or a part of one, for this caller."""
        csrf_token = caller.session.csrf_token if caller and caller.session else ""
        known = {"request": request, "caller": caller, "csrf_token": csrf_token}
        html = _environment.get_template(template).render(known | values)
        return HTMLResponse(html, status, {"Cache-Control": "no-store"})

    def problem(self, request: Request, refused: Refused) -> Response | None:
        """A page that tells what went wrong; None for programs, and for parts of a page, which show it themselves."""
        if refused.status is HTTPStatus.UNAUTHORIZED and "authorization" not in request.headers:
            return _to_login(request, refused)
        is_page = not request.url.path.startswith(_NO_PAGES) and "hx-request" not in request.headers
        if not is_page or "text/html" not in request.headers.get("accept", ""):
            return None
        phrase = _PHRASES.get(refused.status, refused.status.phrase)
        response = self.render(request, None, "error.html", refused.status, phrase=phrase, problem=refused.problem)
        response.headers.update(refused.headers or {})
        return response


def _to_login(request: Request, refused: Refused) -> Response | None:
    accepted = request.headers.get("accept", "")
    if "hx-request" in request.headers:
        headers = dict(refused.headers or {}) | {"HX-Redirect": login_address(request)}
        return Response(status_code=refused.status, headers=headers)
    if request.url.path.startswith(_NO_PAGES) or "json" in accepted or "text/event-stream" in accepted:
        return None
    return RedirectResponse(login_address(request), HTTPStatus.SEE_OTHER)
