"""Markup in every field that takes text: each page and part of a page shows it as text, and nothing of it runs."""

from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from playwright.async_api import Page

from services.audit.handler import AuditHandler
from shared.security import Role, create_token
from tests.support.audit import event, received
from tests.support.browsing import SignIn
from tests.support.pages import settled, shown
from tests.support.site import Site

HOSTILE: Final = "\"'><img src=/{0} onerror=run() class=hostile>{{{{7*7}}}}</{0}>"
"""Leaves attributes and elements, loads, runs, and is a template: whatever a page makes of it but text is noticed."""
SHOWN: Final = {"code", "title", "desc", "allowed", "rule", "operator", "token"}
"""Fields that some page must show. The others may be shown; where they are, they must be text as well."""

TEXT: Final = """() => [
  document.title,
  document.body.textContent,
  ...[...document.querySelectorAll("input, textarea, option")].map((element) => element.value),
].join("\\n")"""


async def test_it_is_shown_as_text_everywhere(signed_in: SignIn, site: Site) -> None:
    offer_id, user_id = await put_everywhere(site)
    addresses = [each.address for each in await shown(site, offer_id=offer_id)]
    addresses += [f"/users?user={user_id}", f"/offers?q={quote(hostile('query'))}"]
    page = await signed_in(Role.admin)
    seen: set[str] = set()
    for address in addresses:
        await page.goto(address)
        await settled(page)
        assert await page.locator(".hostile").count() == 0, f"{address} makes markup of it"
        seen |= await fields_on(page)
    assert SHOWN - seen == set(), "on no page, or not letter by letter"


def hostile(field: str) -> str:
    """What to put into a field: it tells which, where it is shown or asked for."""
    return HOSTILE.format(field)


async def fields_on(page: Page) -> set[str]:
    """The fields whose text the page shows, letter by letter."""
    text = await page.evaluate(TEXT)
    return {field for field in SHOWN if hostile(field) in text}


async def put_everywhere(site: Site) -> tuple[UUID, UUID]:
    """Put it wherever the API and other systems' events have text; the offer and the user that have most of it."""
    operator, user = site.campaign.operators["MTN"], site.campaign.users[0].user_id
    async with site.pool.acquire() as connection:
        site.tokens[Role.admin] = await create_token(connection, hostile("token"), Role.admin)
    await site.send("PUT", f"/api/operators/{operator}", {"name": hostile("operator")})
    await site.pool.execute("UPDATE users SET roles = $1 WHERE id = $2", [hostile("role")], user)
    offer = await site.send("POST", "/api/offers", draft(operator))
    await site.send("POST", f"/api/offers/{offer['id']}/publish", {})
    subject = {"offer_id": offer["id"], "user_id": user, "actor": hostile("actor")}
    revoked = event(**subject, type="redemption.revoked", data={"reason": hostile("reason")})
    changed = event(**subject, type="offer.updated", entity_type="offer", data={"changes": changes()})
    await AuditHandler(site.pool)(received([revoked, changed]))
    return UUID(offer["id"]), user


def draft(operator: UUID) -> dict[str, Any]:
    """An offer with text in each field that takes any."""
    rule = {"rule_key": "topups", "rule_type": "operator_topup_count", "description": hostile("rule")}
    return {
        "code": hostile("code"),
        "title": hostile("title"),
        "description": hostile("desc"),
        "discount_type": "percentage",
        "discount_value": "10.00",
        "allow_all": False,
        "allowed_roles": [hostile("allowed")],
        "rules": [rule | {"params": {"operator_id": str(operator), "count": 1}}],
    }


def changes() -> dict[str, Any]:
    """What the audit log says of a change of text."""
    return {"title": {"before": hostile("before"), "after": hostile("after")}}
