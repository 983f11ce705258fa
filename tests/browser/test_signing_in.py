"""Signing in and out, as people do it."""

from http import HTTPStatus

from playwright.async_api import expect

from shared.security import Role
from tests.support.browsing import Arrive, SignIn, Watch
from tests.support.site import NAMES, PASSWORD


async def test_a_wrong_password_is_told_and_the_right_one_leads_where_people_wanted(
    arrive: Arrive, watch: Watch
) -> None:
    page = await arrive()
    await page.goto("/access/tokens")
    await page.fill("[name=name]", NAMES[Role.admin])
    await page.fill("[name=password]", "not " + PASSWORD)
    watch.expect(HTTPStatus.UNAUTHORIZED)
    await page.press("[name=password]", "Enter")
    await expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    await page.fill("[name=password]", PASSWORD)
    await page.press("[name=password]", "Enter")
    await page.wait_for_url("**/access/tokens")


async def test_signing_out_in_one_tab_ends_the_others(signed_in: SignIn) -> None:
    page = await signed_in(Role.viewer)
    other = await page.context.new_page()
    await other.goto("/offers")
    await page.goto("/account")
    await page.get_by_role("button", name="Sign out", exact=True).click()
    await other.wait_for_url("**/login?**")
    await page.goto("/offers")
    await page.wait_for_url("**/login?**")
