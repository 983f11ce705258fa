"""Has axe judge a page as it stands."""

from typing import Any, Final

from playwright.async_api import Page

from services.admin.pages.assets import FOLDER

AXE: Final = FOLDER / "vendor" / "axe.js"
JUDGED: Final = frozenset({"serious", "critical"})


async def assert_accessible(page: Page) -> None:
    """Fail if axe finds anything serious or critical."""
    found = await barriers(page)
    assert not found, "\n".join([page.url, *found])


async def barriers(page: Page) -> list[str]:
    """What axe finds that is serious or critical: which rule, where, and why."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    results: dict[str, Any] = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {node['html']}: {' '.join(node['failureSummary'].split())}"
        for violation in results["violations"]
        if violation["impact"] in JUDGED
        for node in violation["nodes"]
    ]
