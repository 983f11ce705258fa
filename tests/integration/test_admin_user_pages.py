"""The pages that test a user: every offer, or one, now or at another date."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared.database import Pool
from tests.support.admin import NOBODY, TWO_TOPUPS, created, editing
from tests.support.campaign import add_offer

ADA = UUID(int=1)
SCRIPT = "<script>alert('x')</script>"
RECENT = {"rule_key": "recent", "rule_type": "last_active_within", "params": {"window_days": 7}}


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client."""
    async with editing(pool) as opened:
        opened.headers["Accept"] = "text/html"
        yield opened


@pytest.fixture
async def ada(pool: Pool) -> None:
    """An agent with one topup of yesterday; her role and operator are named by somebody who means no good."""
    now = datetime.now(UTC)
    await pool.execute("INSERT INTO users (id, created_at, roles) VALUES ($1, $2, $3)", ADA, now, ["agent", SCRIPT])
    await pool.execute("INSERT INTO operators (id, name) VALUES ($1, $2)", NOBODY, SCRIPT)
    await pool.execute(
        "INSERT INTO topup_requests (id, user_id, operator_id, amount, status, occurred_at)"
        " VALUES (gen_random_uuid(), $1, $2, 1250.5, 'succeeded', $3)",
        *(ADA, NOBODY, now - timedelta(days=1)),
    )


async def page_of(client: httpx.AsyncClient, address: str, **query: Any) -> str:
    """A page, as its HTML."""
    answer = await client.get(address, params=query or None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


def words(html: str) -> str:
    """What a reader sees of it: text without tags, each run of spaces as one."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


async def test_without_a_user_the_page_asks_for_one(client: httpx.AsyncClient) -> None:
    assert "Give the id of a user" in await page_of(client, "/users")


@pytest.mark.usefixtures("ada")
async def test_a_user_is_shown_with_every_offer_and_each_rule_s_verdict(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await created(client, code="TWICE", title="Twice", rules=[TWO_TOPUPS, RECENT])
    await client.post(f"/api/offers/{offer['id']}/publish")
    await add_offer(pool, code="ALL", title="For everybody")
    seen = words(await page_of(client, "/users", user=ADA))
    assert "1,250.50" in seen
    assert "Twice active TWICE Not eligible The user does not meet the offer's rules" in seen
    assert "at least 2 topups two-topups Failed 2 1 — 1 more topup" in seen
    assert re.search(r"a transaction in the last 7 days recent Passed 7 days 1 day .+ nothing", seen)
    assert "For everybody active ALL Eligible without end Would be accepted" in seen


@pytest.mark.usefixtures("ada")
async def test_at_a_date_to_come_the_page_shows_what_lapsed(client: httpx.AsyncClient) -> None:
    await created(client, rules=[RECENT])
    assert "Eligible until" in words(await page_of(client, "/users", user=ADA))
    later = (datetime.now(UTC) + timedelta(days=8)).strftime("%Y-%m-%dT%H:%M")
    seen = words(await page_of(client, "/users", user=ADA, at=later))
    assert "Not eligible" in seen
    assert "a transaction within 7 days" in seen


async def test_more_offers_are_fetched_as_rows(client: httpx.AsyncClient, pool: Pool) -> None:
    for number in range(51):
        await add_offer(pool, code=f"C{number:02}", created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(number))
    first = await page_of(client, "/users", user=ADA, q="c")
    (address,) = re.findall(r'hx-get="([^"]+)"', first)
    assert "C50" in first
    assert "C00" not in first
    rest = await page_of(client, unescape(address))
    assert "<html" not in rest
    assert "C00" in rest
    assert "hx-get" not in rest


async def test_what_is_typed_wrong_is_told_next_to_its_field(client: httpx.AsyncClient) -> None:
    html = await page_of(client, "/users", user='ada"><b>', at="soon")
    assert "This is not an id" in html
    assert "This is not a date and time" in html
    assert html.count('aria-invalid="true"') == 2
    assert 'value="ada&#34;&gt;&lt;b&gt;"' in html


async def test_a_user_nobody_knows_is_tested_as_a_new_customer(client: httpx.AsyncClient, pool: Pool) -> None:
    await add_offer(pool, code="ALL")
    seen = words(await page_of(client, "/users", user=ADA))
    assert "Nobody has told of this user yet" in seen
    assert "Eligible without end" in seen


@pytest.mark.usefixtures("ada")
async def test_one_offer_is_tested_with_its_rules_in_words(client: httpx.AsyncClient) -> None:
    offer = await created(client, rules=[TWO_TOPUPS], allow_all=False, allowed_roles=["agent"], per_user_limit=2)
    address = f"/offers/{offer['id']}/test"
    asked = words(await page_of(client, address))
    assert "Open only to holders of the role agent." in asked
    assert "Users with at least 2 topups." in asked
    seen = words(await page_of(client, address, user=ADA))
    assert "Not eligible" in seen
    assert "A purchase then: The offer is not active." in seen
    assert "Used 0 times by this user of 2 allowed" in seen
    assert "1 more topup" in seen
    assert (await client.get(f"/offers/{NOBODY}/test")).status_code == 404


@pytest.mark.usefixtures("ada")
async def test_a_draft_is_tested_before_it_is_published(client: httpx.AsyncClient) -> None:
    offer = await created(client, rules=[TWO_TOPUPS])
    address = f"/offers/{offer['id']}/test"
    assert "Your draft" not in await page_of(client, address, user=ADA, of="draft")
    draft = (await client.get(f"/api/offers/{offer['id']}/draft")).json()
    content = draft["content"] | {"rules": [TWO_TOPUPS | {"params": {"count": 1}}], "title": ""}
    saved = await client.put(
        f"/api/offers/{offer['id']}/draft", json={"revision": draft["revision"], "content": content}
    )
    assert saved.status_code == 200, saved.text
    assert "Not eligible" in words(await page_of(client, address, user=ADA))
    seen = words(await page_of(client, address, user=ADA, of="draft"))
    assert "Users with at least 1 topup." in seen
    assert "Eligible without end" in seen
    assert "This is what your draft would say" in seen


@pytest.mark.usefixtures("ada")
async def test_what_others_wrote_is_shown_as_text(client: httpx.AsyncClient, pool: Pool) -> None:
    rule = {"rule_key": "on", "rule_type": "operator_topup_count", "params": {"operator_id": str(NOBODY), "count": 2}}
    offer = await created(client, title=SCRIPT, code="X<b>", rules=[rule], allow_all=False, allowed_roles=[SCRIPT])
    await pool.execute("UPDATE offer_eligibility_rules SET rule_key = $1", SCRIPT)
    for html in (
        await page_of(client, "/users", user=ADA, q="<"),
        await page_of(client, f"/offers/{offer['id']}/test", user=ADA),
    ):
        assert "<script>alert" not in html
        assert "<b>" not in html
        assert html.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") >= 4
