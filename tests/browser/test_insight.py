"""An offer's overview follows what happens; its members are found; the list is filtered and goes on where it ended."""

import re

import orjson
import pytest
from playwright.async_api import expect

from services.admin.pages import offers as offer_page
from shared.security import Role
from tests.support.browsing import SignIn
from tests.support.deciding import redemption_handler, replies_to
from tests.support.insight import add_offers
from tests.support.requests import redeem
from tests.support.site import Site

LIVE_MS = 20_000


def figure(name: str) -> str:
    """Where a figure stands."""
    return f'[data-figure="{name}"]'


async def test_the_figures_and_charts_follow_redemptions_without_a_reload(signed_in: SignIn, site: Site) -> None:
    page = await signed_in(Role.viewer)
    offer = site.offers["WELCOME10"]
    await page.goto(f"/offers/{offer}")
    await expect(page.locator("[data-live]")).to_have_text("● Live")
    before = int((await page.locator(figure("rejected_today")).inner_text()).replace(",", ""))
    strangers = [orjson.dumps(redeem(offer)) for _ in range(3)]
    await replies_to(redemption_handler(site.pool), strangers)
    await expect(page.locator(figure("rejected_today"))).to_have_text(f"{before + 3:,}", timeout=LIVE_MS)
    await expect(page.locator("[data-reasons]")).to_contain_text("The user does not meet the offer's rules")
    rows = page.locator('[data-table="outcomes"] tbody tr')
    await page.get_by_text("30 days", exact=True).click()
    await expect(rows).to_have_count(30)
    await page.get_by_text("24 hours", exact=True).click()
    await expect(rows).to_have_count(24)
    await expect(page).to_have_url(re.compile(r"\?hours=24$"))
    await page.reload()
    await expect(rows).to_have_count(24)
    await site.send("POST", f"/api/offers/{offer}/pause", {})
    await expect(page.get_by_text("Somebody changed this offer meanwhile.")).to_be_visible(timeout=LIVE_MS)


async def test_a_member_is_looked_up_with_the_keyboard(signed_in: SignIn, site: Site) -> None:
    page = await signed_in(Role.viewer)
    offer = site.offers["LOYAL5"]
    member = await site.pool.fetchval("SELECT user_id FROM offer_segment_members WHERE offer_id = $1 LIMIT 1", offer)
    await page.goto(f"/offers/{offer}/members")
    await page.get_by_label("User id").fill(str(member))
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("A member", exact=True)).to_be_visible()
    await page.get_by_label("User id").fill("somebody")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("User id")).to_have_attribute("aria-invalid", "true")


async def test_the_list_is_filtered_as_one_types_and_goes_on_where_it_ended(
    signed_in: SignIn, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offer_page, "PAGE_OFFERS", 3)
    await add_offers(site.pool, [f"WINTER-{place}" for place in range(5)])
    page = await signed_in(Role.editor)
    rows = page.locator("tbody tr")
    await page.locator("#q").press_sequentially("winter")
    await expect(page).to_have_url(re.compile(r"/offers\?q=winter$"))
    await expect(rows).to_have_count(4)
    await page.get_by_role("link", name="Load more").press("Enter")
    await expect(rows).to_have_count(5)
    await expect(page.get_by_role("link", name="WINTER-3 title", exact=True)).to_be_focused()
    await page.get_by_label("Status").select_option("draft")
    await expect(page.get_by_text("No offer fits")).to_be_visible()
    await expect(page).to_have_url(re.compile(r"/offers\?q=winter&status=draft$"))
    await page.go_back()
    await expect(page.get_by_label("Status")).to_have_value("")
    await expect(page.locator("#q")).to_have_value("winter")
