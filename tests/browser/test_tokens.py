"""API tokens, made and revoked in the page."""

from http import HTTPStatus

import httpx
from playwright.async_api import expect

from shared.security import Role
from tests.support.browsing import SignIn
from tests.support.site import Site


async def test_a_token_made_in_the_page_works_until_it_is_revoked_there(signed_in: SignIn, site: Site) -> None:
    page = await signed_in(Role.admin)
    await page.goto("/access/tokens")
    await page.get_by_role("link", name="Make a token").click()
    await page.get_by_label("Used by").fill("nightly report")
    await page.get_by_role("button", name="Make the token").click()
    token = (
        await page.get_by_text("ofr_")
        .or_(page.locator("input[value^=ofr_]"))
        .first.evaluate("element => element.value ?? element.textContent")
    )
    assert await status_with(site, token) == HTTPStatus.OK
    await page.goto("/access/tokens")
    await expect(page.get_by_text("ofr_")).to_have_count(0)
    page.once("dialog", lambda dialog: dialog.accept())
    row = page.get_by_role("row").filter(has_text="nightly report")
    await row.get_by_role("button", name="Revoke").click()
    await expect(row).to_contain_text("revoked")
    assert await status_with(site, token) == HTTPStatus.UNAUTHORIZED


async def status_with(site: Site, token: str) -> int:
    """What the API answers to a program with the token."""
    async with httpx.AsyncClient(base_url=site.url, headers={"Authorization": f"Bearer {token.strip()}"}) as program:
        return (await program.get("/api/offers")).status_code
