"""The list of offers, as each role sees it."""

from playwright.async_api import expect

from shared.security import Role
from tests.support.browsing import SignIn


async def test_every_offer_is_there_with_its_status(signed_in: SignIn) -> None:
    page = await signed_in(Role.viewer)
    for title, code, status in [
        ("10 % for new accounts", "WELCOME10", "active"),
        ("50 % for the first fifty", "FLASH50", "active"),
        ("Not yet on sale", "SOON30", "draft"),
    ]:
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name=title))
        await expect(row).to_contain_text(code)
        await expect(row).to_contain_text(status)


async def test_only_those_who_may_make_offers_are_offered_to(signed_in: SignIn) -> None:
    for role, links in [(Role.viewer, 0), (Role.editor, 1), (Role.admin, 1)]:
        page = await signed_in(role)
        await expect(page.get_by_role("link", name="New offer")).to_have_count(links)
