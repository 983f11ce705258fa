"""The list, the overview and the members of offers as pages: what they show, find, refuse and escape."""

from collections.abc import AsyncIterator
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.admin.insight.census import Census
from services.admin.listing import Filters, list_page
from services.admin.pages import members as member_page
from services.admin.pages import offers as offer_page
from shared.clock import utc_now
from shared.database import Pool
from shared.security import Role
from tests.support.admin import NOBODY, admin_api, client_of
from tests.support.campaign import add_offer
from tests.support.insight import ACCEPTED, add_decisions, add_members, add_offers, count_all, rejected

RULE: dict[str, Any] = {"rule_type": "min_topups", "params": {"count": 2, "window_days": 30}}
XSS = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
PART = {"HX-Request": "true"}
DAY = timedelta(days=1)


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """A viewer's client."""
    async with client_of(pool, admin_api(pool), Role.viewer) as opened:
        yield opened


class Words(HTMLParser):
    """What a page says, its elements' names, and where its links go."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.elements: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.text += " " + data

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.attributes.update(name for name, _ in attrs)


async def page(client: httpx.AsyncClient, address: str, **headers: str) -> Words:
    """A page that must be there."""
    answer = await client.get(address, headers=headers)
    assert answer.status_code == 200, answer.text
    words = Words(answer.text)
    words.text = " ".join(words.text.split())
    return words


async def codes(pool: Pool, **filters: Any) -> list[str]:
    return [offer.code for offer in await list_page(pool, Filters(**filters), None, 100)]


async def test_the_list_shows_each_offer_with_its_use_members_and_redemptions_of_today(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    limited = await add_offer(
        pool, [RULE], code="TEN", title="Ten off", total_usage_limit=40, usage_count=10, created_at=utc_now()
    )
    await add_offer(pool, code="ALL", title="For all", status="draft", created_at=utc_now() - DAY)
    await add_members(pool, limited, 3)
    await add_members(pool, limited, 2, timedelta(seconds=-1))
    await add_decisions(pool, limited, ACCEPTED, utc_now(), 4)
    await add_decisions(pool, limited, rejected("not_eligible"), utc_now(), 2)
    await count_all(pool)
    found = await page(client, "/offers")
    row = found.text[found.text.index("Ten off") : found.text.index("For all")]
    assert "TEN · 10% off" in row
    assert "active 10 of 40 25 % 3 members of Ten off 4 2 rejected" in row
    assert "1 active · 1 draft" in found.text
    assert "New offer" not in found.text, "a viewer makes none"
    assert f"/offers/{limited}/members" in found.links


async def test_each_filter_finds_what_it_says(pool: Pool) -> None:
    now = utc_now()
    await add_offers(pool, ["OPEN"])
    await add_offers(pool, ["BETWEEN"], starts_at=now - DAY, ends_at=now + 3 * DAY)
    await add_offers(pool, ["LATER"], starts_at=now + DAY)
    await add_offers(pool, ["OVER"], ends_at=now - DAY)
    await add_offers(pool, ["PAUSED"], status="paused", ends_at=now + DAY, total_usage_limit=10, usage_count=8)
    await add_offers(pool, ["FULL"], status="archived", total_usage_limit=10, usage_count=10)
    ids = {row["code"]: row["id"] for row in await pool.fetch("SELECT id, code FROM offers")}
    await add_members(pool, ids["PAUSED"], 1)
    await add_members(pool, ids["OPEN"], 1, timedelta(seconds=-1))
    assert sorted(await codes(pool)) == ["BETWEEN", "FULL", "LATER", "OPEN", "OVER", "PAUSED"]
    assert sorted(await codes(pool, when="running")) == ["BETWEEN", "OPEN"]
    assert await codes(pool, when="ending") == ["BETWEEN"]
    assert await codes(pool, when="scheduled") == ["LATER"]
    assert await codes(pool, when="ended") == ["OVER"]
    assert sorted(await codes(pool, usage="unused")) == ["BETWEEN", "LATER", "OPEN", "OVER"]
    assert sorted(await codes(pool, usage="nearly")) == ["FULL", "PAUSED"]
    assert await codes(pool, usage="used_up") == ["FULL"]
    assert await codes(pool, members="some") == ["PAUSED"]
    assert len(await codes(pool, members="none")) == 5
    assert await codes(pool, status="archived") == ["FULL"]
    assert sorted(await codes(pool, q="e")) == ["BETWEEN", "FULL", "LATER", "OPEN", "OVER", "PAUSED"], "in the titles"
    assert await codes(pool, q="ween", status="active", when="ending") == ["BETWEEN"]


@pytest.mark.parametrize(("days", "phase"), [((-2, 9), "running"), ((-2, 5), "ending"), ((1, 2), "scheduled"),
                                             ((-3, -1), "ended")])  # fmt: skip
async def test_an_active_offer_is_told_where_in_its_time_it_is(pool: Pool, days: tuple[int, int], phase: str) -> None:
    now = utc_now()
    await add_offers(pool, ["ONE"], starts_at=now + days[0] * DAY, ends_at=now + days[1] * DAY)
    (offer,) = await list_page(pool, Filters(), None, 10)
    assert offer.phase(now) == phase


async def test_a_great_many_members_are_told_as_counted_last_and_before_that_as_at_least(pool: Pool) -> None:
    offer = await add_offer(pool, [RULE])
    await add_members(pool, offer, 12)

    async def told() -> tuple[int, bool]:
        (row,) = await list_page(pool, Filters(), None, 10, members_exact_max=10)
        return row.members, row.members_known

    assert await told() == (11, False)
    await Census(pool).count()
    await add_members(pool, offer, 1)
    assert await told() == (12, True)


async def test_the_filters_stay_in_the_address_and_only_what_was_found_is_sent_again(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    await add_offers(pool, ["ONE", "TWO"])
    answer = await client.get("/offers?q=one&status=active&when=&usage=&members=", headers=PART)
    assert answer.headers["hx-push-url"] == "/offers?q=one&status=active"
    part = Words(answer.text)
    assert "html" not in part.elements
    assert ("ONE title" in part.text, "TWO title" in part.text) == (True, False)
    whole = await page(client, "/offers?q=one&status=active")
    assert "html" in whole.elements
    assert 'value="one"' in (await client.get("/offers?q=one")).text
    back = await page(client, "/offers?q=one", **PART, **{"HX-History-Restore-Request": "true"})
    assert "html" in back.elements
    assert (await client.get("/offers", headers=PART)).headers["hx-push-url"] == "/offers"


async def test_more_of_the_list_follows_where_it_ended(
    client: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offer_page, "PAGE_OFFERS", 2)
    await add_offers(pool, ["A1", "A2", "A3", "A4", "A5", "B1"])
    address, seen = "/offers?q=a", []
    while address:
        found = await page(client, address, **PART)
        seen.append([word for word in found.text.split() if word[0] == "A" and word[1:].isdigit()][::2])
        address = next((link for link in found.links if "after=" in link), "")
        assert not address or "q=a" in address
    assert seen == [["A1", "A2"], ["A3", "A4"], ["A5"]]


async def test_without_offers_or_without_a_find_the_list_says_so(client: httpx.AsyncClient, pool: Pool) -> None:
    assert "No offer yet" in (await page(client, "/offers")).text
    await add_offers(pool, ["ONE"])
    assert "No offer fits" in (await page(client, "/offers?q=zzz")).text
    assert (await client.get("/offers?status=lost")).status_code == 422


async def test_the_overview_tells_terms_rules_and_figures_in_words(client: httpx.AsyncClient, pool: Pool) -> None:
    operator = uuid4()
    await pool.execute("INSERT INTO operators (id, name) VALUES ($1, 'MTN')", operator)
    rules = [RULE, {"rule_type": "operator_topup_count", "params": {"count": 1, "operator_id": str(operator)}}]
    offer = await add_offer(
        pool, rules, code="TEN", title="Ten off", description="For regulars", total_usage_limit=40, usage_count=10,
        per_user_limit=1, allow_all=False, apply_to="products",
    )  # fmt: skip
    await pool.execute("INSERT INTO offer_products (offer_id, operator_product_id, price_override) VALUES ($1, $2, 5)",
                       offer, uuid4())  # fmt: skip
    await pool.execute("INSERT INTO offer_allowed_users SELECT $1, gen_random_uuid() FROM generate_series(1, 3)", offer)
    await add_members(pool, offer, 6)
    text = (await page(client, f"/offers/{offer}")).text
    for expected in (
        "Ten off active For regulars",
        "Used 10 of 40",
        "Members 6",
        "Discount 10% off",
        "Products 1 chosen product Which",
        "at 5.00",
        "At most 1 time by each user and at most 40 times in all",
        "Open only to 3 chosen users",
        "Users with all of: at least 2 topups in the last 30 days at least 1 topup on MTN",
        "Being computed anew",
        "Nobody was refused in this time",
    ):
        assert expected in text, f"{expected!r} is not in {text}"


@pytest.mark.parametrize(
    "address", ["/offers/{}", "/offers/{}?hours=720", "/offers/{}/members", "/offers", "/offers?q={}"]
)
async def test_what_people_wrote_is_shown_as_text(client: httpx.AsyncClient, pool: Pool, address: str) -> None:
    rule = RULE | {"params": {"count": 1}}
    offer = await add_offer(pool, [rule], code=XSS, title=XSS, description=XSS, created_by=XSS, allow_all=False)
    await pool.execute("INSERT INTO offer_allowed_roles VALUES ($1, $2)", offer, XSS)
    plain = await page(client, "/offers?q=zzz")
    found = await page(client, address.format(XSS if "?q=" in address else offer))
    assert found.elements.count("img") == 0
    assert found.elements.count("script") <= plain.elements.count("script") + 2
    assert not {name for name in found.attributes if name.startswith("on") or name == "style"}


async def test_members_are_listed_by_page_and_one_is_looked_up(
    client: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_page, "PAGE_MEMBERS", 2)
    offer = await add_offer(pool, [RULE])
    ids = [UUID(int=number) for number in range(1, 6)]
    await pool.execute(
        "INSERT INTO offer_segment_members (offer_id, user_id, valid_until, rules_version)"
        " SELECT $1, n.id, CASE WHEN n.place = 1 THEN '2100-01-02T03:04Z'::timestamptz ELSE 'infinity' END,"
        " (SELECT rules_version FROM offers) FROM unnest($2::uuid[]) WITH ORDINALITY AS n (id, place)",
        offer,
        ids,
    )
    await pool.execute(
        "INSERT INTO offer_segment_rebuilds (offer_id, rules_version, live, finished_at)"
        " SELECT id, rules_version, true, now() FROM offers"
    )
    found = await page(client, f"/offers/{offer}/members")
    assert "Members 5" in found.text
    assert "computed anew" not in found.text
    assert f"{ids[0]}" in found.text
    assert "2 Jan 2100, 03:04" in found.text
    seen, address = 2, next(link for link in found.links if "after=" in link)
    while address:
        part = await page(client, address, **PART)
        assert "html" not in part.elements
        seen += sum(f"{id_}" in part.text for id_ in ids)
        address = next((link for link in part.links if "after=" in link), "")
    assert seen == 5
    assert "A member since" in (await page(client, f"/offers/{offer}/members?user_id= {ids[4]} ")).text
    assert "Not a member" in (await page(client, f"/offers/{offer}/members?user_id={NOBODY}")).text
    assert "A user's id looks like" in (await page(client, f"/offers/{offer}/members?user_id=me")).text
    await pool.execute("UPDATE offers SET eligibility_logic = 'any'")
    assert "Not known yet" in (await page(client, f"/offers/{offer}/members?user_id={ids[4]}")).text


async def test_the_progress_of_a_rebuild_is_followed_to_its_end(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await add_offer(pool, [RULE])
    await pool.execute(
        "INSERT INTO offer_segment_rebuilds (offer_id, rules_version, live, users_done, users_total)"
        " SELECT id, rules_version, true, 2000, 9000 FROM offers"
    )
    address = f"/offers/{offer}/members"
    assert "2,000 of about 9,000 users" in (await page(client, address)).text
    assert "2,000 of about 9,000 users" in (await page(client, f"{address}/progress")).text
    await pool.execute("UPDATE offer_segment_rebuilds SET finished_at = now()")
    ended = await client.get(f"{address}/progress")
    assert "All members are those of the present rules: 0." in ended.text
    assert "hx-trigger" not in ended.text, "nothing is left to ask for"


@pytest.mark.parametrize("address", ["/offers/{}", "/offers/{}/members", "/offers/{}/members/progress"])
async def test_an_offer_there_is_not_has_no_page(client: httpx.AsyncClient, address: str) -> None:
    assert (await client.get(address.format(NOBODY))).status_code == 404


@pytest.mark.parametrize("address", ["/offers", "/offers/{}", "/offers/{}/members", "/offers/{}/members/progress"])
async def test_without_a_login_nothing_is_shown(pool: Pool, address: str) -> None:
    async with client_of(pool, admin_api(pool), None) as nobody:
        answer = await nobody.get(address.format(await add_offer(pool)))
        assert answer.status_code in (303, 307, 401)


async def test_one_members_row_is_found_over_http(client: httpx.AsyncClient, pool: Pool) -> None:
    offer, user = await add_offer(pool), uuid4()
    await pool.execute("INSERT INTO offer_segment_members (offer_id, user_id, valid_until) VALUES ($1, $2, 'infinity')",
                       offer, user)  # fmt: skip
    found = (await client.get(f"/api/offers/{offer}/members/{user}")).json()
    assert (found["user_id"], found["valid_until"], found["current"]) == (str(user), None, True)
    assert (await client.get(f"/api/offers/{offer}/members/{uuid4()}")).status_code == 404
