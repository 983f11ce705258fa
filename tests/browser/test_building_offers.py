"""Building an offer in the page: the rule editor, drafts, publishing, and what customers then get."""

from decimal import Decimal
from http import HTTPStatus
from uuid import UUID

from playwright.async_api import FilePayload, Locator, Page, expect

from shared.client import RedemptionClient
from shared.security import Role
from shared.settings import KafkaSettings
from tests.support.browsing import SignIn, Watch
from tests.support.keyboard import tab_to
from tests.support.services import redemption_workers
from tests.support.site import Site

ELIGIBLE = "SELECT u.id FROM users AS u WHERE is_user_eligible_for_offer($1, u.id) ORDER BY u.id"


async def begin(page: Page, title: str, code: str, value: str = "10.00") -> UUID:
    """A new offer by the page's form; the editor is open then."""
    await page.goto("/offers/new")
    await page.get_by_label("Title").fill(title)
    await page.get_by_label("Code").fill(code)
    await page.get_by_label("Value").fill(value)
    await page.get_by_role("button", name="Begin the offer").click()
    await page.wait_for_url("**/edit")
    return UUID(page.url.split("/")[-2])


async def add_rule(page: Page, kind: str) -> Locator:
    """Add a rule of a kind from the palette; returns its card."""
    cards = page.locator("[data-rule]")
    before = await cards.count()
    await page.get_by_role("button", name=kind).first.click()
    await expect(cards).to_have_count(before + 1)
    return cards.nth(before)


async def saved(page: Page) -> None:
    """Wait until the draft is saved, and nothing is wrong with it."""
    await expect(page.locator("#draft-state")).to_contain_text("Draft saved")


async def publish(page: Page) -> None:
    """Review and publish what the editor shows, confirming its reach where that is asked."""
    await page.get_by_role("link", name="Review and publish").click()
    await expect(page.locator("#enter-count")).to_be_visible()
    if await page.locator("#confirm-reach").count():
        await page.locator("#confirm-reach").check()
    await page.locator("#publish").click()
    await page.wait_for_url(lambda url: not url.endswith("/publish"))


async def matching(site: Site, offer_id: UUID) -> list[UUID]:
    """Who is eligible, by the reference in the database."""
    return [row["id"] for row in await site.pool.fetch(ELIGIBLE, offer_id)]


async def test_an_offer_built_in_the_page_is_redeemed_at_once(signed_in: SignIn, site: Site) -> None:
    page = await signed_in(Role.editor)
    offer_id = await begin(page, "Big on MTN", "MTNBIG", "15")
    rule = await add_rule(page, "Amount spent on an operator")
    await expect(rule.get_by_label("Operator")).to_be_focused()
    await rule.get_by_label("Operator").fill("MTN")
    await rule.get_by_label("Amount").fill("100")
    await rule.get_by_label("Window").fill("30")
    await saved(page)
    await expect(page.locator("#sentence")).to_have_text("Users with at least 100.00 spent on MTN in the last 30 days")
    await expect(page.locator("#price-example")).to_have_text("Instead of 100.00 a user pays 85.00: 15.00 off")
    reached = page.locator("#reach-number")
    await publish(page)
    eligible = await matching(site, offer_id)
    assert 0 < len(eligible) < len(site.campaign.users)
    await page.goto(f"/offers/{offer_id}/edit")
    await expect(reached).to_have_text(str(len(eligible)))
    kafka = KafkaSettings(**site.settings.model_dump(include=set(KafkaSettings.model_fields)))
    async with redemption_workers(site.pool, kafka, site.publisher), RedemptionClient(kafka) as checkout:
        reply = await checkout.redeem(eligible[0], Decimal("20.00"), code="MTNBIG", timeout_s=30)
        assert (reply.status, reply.price_paid) == ("accepted", Decimal("17.00"))


async def test_rules_are_edited_without_a_swap_under_the_typing_hand(signed_in: SignIn, site: Site) -> None:
    page = await signed_in(Role.editor)
    await begin(page, "Edited a lot", "EDITED")
    rule = await add_rule(page, "Recently active")
    days = rule.get_by_label("Window")
    await days.evaluate("input => { input.untouched = true; }")
    await days.press_sequentially("1x")
    await expect(rule.locator(".field-error").first).to_have_text("must be a whole number")
    await expect(days).to_have_attribute("aria-invalid", "true")
    await days.press("Backspace")
    await days.press_sequentially("4")
    await expect(page.locator("#sentence")).to_have_text("Users with a transaction in the last 14 days")
    assert await days.evaluate("input => input.untouched && document.activeElement === input")
    await expect(rule.locator(".reach-of-rule")).to_contain_text("%")


async def test_rules_are_arranged_switched_and_undone(signed_in: SignIn) -> None:
    page = await signed_in(Role.editor)
    await begin(page, "Arranged", "ARRANGED")
    for kind, label, value in [
        ("Recently active", "Window", "14"),
        ("Active days", "Count", "3"),
        ("New user", "Account age", "7"),
    ]:
        await (await add_rule(page, kind)).get_by_label(label).first.fill(value)
    titles = page.locator("[data-rule] h3")
    await page.get_by_role("button", name="Move rule 3 up").click()
    await expect(titles).to_have_text(["Recently active", "New user", "Active days"])
    await page.locator("#rule-0").press("Alt+ArrowDown")
    await expect(titles).to_have_text(["New user", "Recently active", "Active days"])
    await page.locator("#rule-2 [data-drag]").drag_to(page.locator("#rule-0"), target_position={"x": 40, "y": 5})
    await expect(titles).to_have_text(["Active days", "New user", "Recently active"])
    await expect(page.locator("#rule-0 h3")).to_have_text("Active days")  # Drawn anew, with the new places.
    await page.get_by_role("button", name="Switch off rule 2").click()
    await expect(titles.nth(1)).to_contain_text("switched off")
    await expect(page.locator("#sentence")).not_to_contain_text("account")
    await page.get_by_role("button", name="Duplicate rule 1").click()
    await expect(titles).to_have_count(4)
    await page.get_by_role("button", name="Remove rule 4").click()
    await expect(titles).to_have_count(3)
    for _ in range(3):
        await page.get_by_role("button", name="Undo").click()
    await expect(titles).to_have_text(["Active days", "New user", "Recently active"])
    await page.get_by_role("button", name="Redo").click()
    await expect(titles.nth(1)).to_contain_text("switched off")
    await page.get_by_text("At least one rule (OR)").click()
    await expect(page.locator("#sentence")).to_contain_text("at least one of")
    await page.reload()
    await expect(titles.nth(1)).to_contain_text("switched off")
    await expect(page.get_by_label("At least one rule (OR)")).to_be_checked()


async def test_the_palette_is_searched(signed_in: SignIn) -> None:
    page = await signed_in(Role.editor)
    await begin(page, "Searched", "SEARCHED")
    search = page.get_by_label("Search the kinds of rule")
    await search.fill("spent operator")
    await expect(page.locator("[data-palette-entry]:visible")).to_have_count(1)
    await search.press("Enter")
    await expect(page.locator("[data-rule] h3")).to_have_text("Amount spent on an operator")
    await search.fill("nonsense")
    await expect(page.get_by_text("No kind of rule is called that.")).to_be_visible()


async def test_of_two_editors_the_second_is_shown_what_the_first_did(signed_in: SignIn, site: Site) -> None:
    edith, ada = await signed_in(Role.editor), await signed_in(Role.admin)
    offer_id = await begin(edith, "Contested", "CONTESTED")
    await ada.goto(f"/offers/{offer_id}/edit")
    for page, label, value in [(edith, "Uses by one user", "2"), (ada, "Uses in all", "500")]:
        await page.get_by_label(label).fill(value)
        await saved(page)
    await publish(ada)
    await edith.get_by_role("link", name="Review and publish").click()
    stale = edith.locator("#stale")
    await expect(stale).to_contain_text("Ada changed this offer while you were editing")
    await expect(stale).to_contain_text("500")
    await expect(edith.locator("#publish")).to_have_count(0)
    await edith.get_by_role("button", name="Put my changes on top of theirs").click()
    await expect(edith.locator("#stale")).to_have_count(0)
    await expect(edith.locator("#publish")).to_be_visible()
    await edith.goto(f"/offers/{offer_id}/edit")
    await publish(edith)
    offer = await site.send("GET", f"/api/offers/{offer_id}")
    assert (offer["per_user_limit"], offer["total_usage_limit"]) == (2, 500)


async def test_a_draft_saved_in_another_tab_is_not_overwritten(signed_in: SignIn, watch: Watch) -> None:
    page = await signed_in(Role.editor)
    await begin(page, "Two tabs", "TWOTABS")
    other = await page.context.new_page()
    await other.goto(page.url)
    await page.get_by_label("Uses by one user").fill("2")
    await saved(page)
    watch.expect(HTTPStatus.CONFLICT)
    await other.get_by_label("Uses by one user").fill("9")
    await expect(other.get_by_role("alert")).to_contain_text("changed in another tab")


async def test_chosen_users_are_pasted_and_each_bad_line_is_named(signed_in: SignIn, site: Site) -> None:
    page = await signed_in(Role.editor)
    await begin(page, "For a few", "FORAFEW")
    await page.get_by_text("Only chosen users and roles").click()
    one, two = (user.user_id for user in site.campaign.users[:2])
    await page.get_by_label("Paste user ids").fill(f"{one}\nnobody\n{two}\n")
    await page.get_by_role("button", name="Add", exact=True).click()
    await expect(page.locator("#users-result")).to_contain_text("2 users added")
    await expect(page.locator("#users-result")).to_contain_text("Line 2: “nobody” is no user id")
    await expect(page.locator("#reach-number")).to_have_text("2")
    csv = FilePayload(name="users.csv", mimeType="text/csv", buffer=f"user_id\n{one}\n".encode())
    await page.get_by_label("Paste user ids").fill("")
    await page.get_by_label("or a CSV file").set_input_files(csv)
    await page.get_by_role("button", name="Remove", exact=True).click()
    await expect(page.locator("#users-count")).to_have_text("1")
    await expect(page.locator("#reach-number")).to_have_text("1")


async def test_what_was_published_can_be_returned_to(signed_in: SignIn, site: Site) -> None:
    page = await signed_in(Role.editor)
    offer_id = await begin(page, "Returned to", "RETURNED")
    await publish(page)
    await page.goto(f"/offers/{offer_id}/edit")
    await page.get_by_label("Uses by one user").fill("3")
    await saved(page)
    await publish(page)
    await page.goto(f"/offers/{offer_id}/versions")
    await page.get_by_role("button", name="Return to this version 1").click()
    await page.wait_for_url("**/publish")
    await expect(page.locator(".differences")).to_contain_text("Uses by one user")
    await page.locator("#confirm-reach").check()
    await page.locator("#publish").click()
    await page.wait_for_url(f"**/offers/{offer_id}")
    assert (await site.send("GET", f"/api/offers/{offer_id}"))["per_user_limit"] is None


async def test_an_offer_is_paused_resumed_copied_and_archived(signed_in: SignIn) -> None:
    page = await signed_in(Role.editor)
    offer_id = await begin(page, "A whole life", "LIFE")
    await publish(page)
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator("h1")).to_contain_text("paused")
    await page.get_by_role("link", name="Resume").click()
    await page.locator("#confirm-reach").check()
    await page.locator("#publish").click()
    await expect(page.locator("h1")).to_contain_text("active")
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("button", name="Archive").click()
    await expect(page.locator("h1")).to_contain_text("archived")
    await page.get_by_role("button", name="More").click()
    await page.get_by_role("button", name="Duplicate").click()
    await page.wait_for_url("**/edit")
    await expect(page.get_by_label("Code")).to_have_value("LIFE-COPY")
    assert UUID(page.url.split("/")[-2]) != offer_id


async def test_the_keyboard_alone_builds_and_publishes(signed_in: SignIn, site: Site) -> None:
    page = await signed_in(Role.editor)
    await tab_to(page, page.get_by_role("link", name="New offer"))
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/offers/new")
    for label, text in [("Title", "By keyboard"), ("Code", "KEYS"), ("Value", "5")]:
        await tab_to(page, page.get_by_label(label))
        await page.keyboard.type(text)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/edit")
    await tab_to(page, page.get_by_label("Search the kinds of rule"))
    await page.keyboard.type("new")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Account age")).to_be_focused()
    await page.keyboard.type("5")
    await saved(page)
    await tab_to(page, page.get_by_role("link", name="Review and publish"))
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/publish")
    await expect(page.locator("#enter-count")).to_be_visible()
    await tab_to(page, page.locator("#publish"))
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: not url.endswith("/publish"))
    await expect(page.locator("h1")).to_contain_text("active")
