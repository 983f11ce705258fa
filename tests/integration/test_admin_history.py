"""The readable past: of everything with filters, of an offer, of a request; and its exports."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import orjson
import pytest

from services.audit.handler import AuditHandler
from services.redemption.requests import read_request
from shared.batches import Received
from shared.database import Pool
from shared.events.audit_events import AuditEvent
from shared.topics import AUDIT_EVENTS
from tests.support.admin import DRAFT, TWO_TOPUPS, created, editing, problem
from tests.support.audit import NOON, event, received
from tests.support.deciding import redemption_handler, request_record
from tests.support.requests import redeem

ADA: Final = UUID(int=1)
SCRIPT: Final = "<script>alert('x')</script>"


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client."""
    async with editing(pool) as opened:
        opened.headers["Accept"] = "text/html"
        yield opened


async def audit(pool: Pool, events: Sequence[AuditEvent], partition: int = 0) -> None:
    """Have the log hold the events."""
    await AuditHandler(pool)(received(events, partition))


async def audit_changes(pool: Pool) -> None:
    """Have the log hold what the admin's changes announced."""
    rows = await pool.fetch("DELETE FROM outbox WHERE topic = $1 RETURNING id, messages", AUDIT_EVENTS)
    messages = [message for row in sorted(rows, key=lambda row: row["id"]) for message in row["messages"]]
    await audit(pool, [AuditEvent.model_validate_json(message) for message in messages])


async def decide(pool: Pool, *requests: dict[str, Any], audited: bool = True) -> None:
    """Decide requests, one batch each, and have the log hold the decisions."""
    for request in requests:
        value = orjson.dumps(request)
        published = await redemption_handler(pool)([Received(read_request(value), request_record(0, value))])
        if audited:
            events = [AuditEvent.model_validate_json(o.value or b"") for o in published if o.topic == AUDIT_EVENTS]
            await audit(pool, events, partition=1)


async def page_of(client: httpx.AsyncClient, address: str, **query: Any) -> str:
    """A page, as its HTML."""
    answer = await client.get(address, params=query or None)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    return answer.text


def words(html: str) -> str:
    """What a reader sees of it: text without tags, each run of spaces as one."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def titles_in(html: str) -> list[str]:
    """What happened, entry by entry."""
    return re.findall(r"<h3[^>]*>([^<]+?) *<", html)


async def test_an_offer_s_history_shows_its_changes_side_by_side(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await created(client, rules=[TWO_TOPUPS])
    edit = DRAFT | {"title": "Spring!", "rules": [TWO_TOPUPS | {"params": {"count": 3}}], "version": 1}
    await client.put(f"/api/offers/{offer['id']}", json=edit)
    await client.post(f"/api/offers/{offer['id']}/publish")
    await decide(pool, redeem(offer["id"], ADA))
    await audit_changes(pool)
    html = await page_of(client, f"/offers/{offer['id']}/history")
    seen = words(html)
    assert titles_in(html) == ["Offer published", "Offer changed", "Offer created"]
    assert "by the-editor (editor) from 127.0.0.1" in seen
    assert "Title Spring Spring!" in seen
    assert "Rules at least 2 topups at least 3 topups" in seen
    assert "Status draft active" in seen
    everything = await page_of(client, f"/offers/{offer['id']}/history", show="all")
    assert sorted(titles_in(everything)) == [
        *("Offer changed", "Offer created", "Offer published", "Redemption rejected"),
    ]


async def test_every_filter_finds_what_it_names(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await created(client, code="SPRING")
    await audit_changes(pool)
    request = redeem(offer["id"], ADA)
    await decide(pool, request)
    await audit(pool, [event(type="segment.rebuilt", actor="segmenter", entity_type="offer", entity_id=uuid4())], 2)

    async def titles(**filters: Any) -> list[str]:
        return titles_in(await page_of(client, "/audit", **filters))

    rejected, made, rebuilt = ["Redemption rejected"], ["Offer created"], ["Members recomputed"]
    assert await titles() == [*rejected, *made, *rebuilt]
    assert await titles(offer_id=offer["id"]) == await titles(offer_id="SPRING") == [*rejected, *made]
    assert await titles(entity_id=offer["id"]) == made
    assert await titles(user_id=ADA) == rejected
    assert await titles(request_id=request["request_id"]) == rejected
    assert await titles(type="offer.created") == made
    assert await titles(actor="segmenter") == rebuilt
    assert await titles(to="2026-11-24T12:01") == rebuilt
    assert await titles(**{"from": "2026-11-24T12:01", "user_id": "", "type": ""}) == [*rejected, *made]
    assert "Nothing is recorded here that passes these filters" in words(await page_of(client, "/audit", actor="bo"))


async def test_wrong_filters_are_told_next_to_their_fields(client: httpx.AsyncClient) -> None:
    html = await page_of(
        client, "/audit", offer_id="NO<SUCH", user_id="7", type="redemption.lost", **{"from": "yesterday", "to": "1"}
    )
    for error in (
        *("There is no offer with this code or id", "This is not an id", "There is no such type"),
        "This is not a date and time",
    ):
        assert error in html
    assert html.count('aria-invalid="true"') == 5
    assert "NO&lt;SUCH" in html
    assert "Entries" not in html


async def test_older_entries_are_fetched_without_gap_or_overlap(client: httpx.AsyncClient, pool: Pool) -> None:
    offer_id = UUID((await created(client))["id"])
    await audit(
        pool,
        [
            event(
                type="segment.rebuilt",
                offer_id=offer_id,
                occurred_at=NOON + timedelta(seconds=n // 2),
                data={"users": n},
            )
            for n in range(60)
        ],
    )
    pages = [await page_of(client, "/audit", offer_id=offer_id)]
    for _ in range(2):
        (more,) = re.findall(r'hx-get="([^"]+)"', pages[-1])
        pages.append(await page_of(client, unescape(more)))
        assert "<html" not in pages[-1]
    assert "hx-get" not in pages[-1]
    seen = [number for html in pages for number in re.findall(r'"users": (\d+)', unescape(html))]
    assert sorted(map(int, seen)) == list(range(60))


async def test_exports_have_the_page_s_filters(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await created(client, code="SPRING")
    await created(client, code="OTHER")
    await audit_changes(pool)
    html = await page_of(client, "/audit", offer_id="SPRING", **{"from": "2020-01-01T00:00"})
    addresses = [unescape(found) for found in re.findall(r'href="(/api/audit/export[^"]+)"', html)]
    as_csv, as_json = [(await client.get(address)) for address in addresses]
    assert as_csv.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    assert as_json.headers["content-disposition"] == 'attachment; filename="audit.ndjson"'
    _, *rows = csv.reader(io.StringIO(as_csv.text))
    assert [row[4] for row in rows] == [offer["id"]]
    assert [json.loads(line)["entity_id"] for line in as_json.text.splitlines()] == [offer["id"]]


async def test_a_large_export_is_streamed_whole(client: httpx.AsyncClient, pool: Pool) -> None:
    await audit(pool, [event() for _ in range(2_100)])
    async with client.stream("GET", "/api/audit/export") as response:
        assert len([line async for line in response.aiter_lines()]) == 2_100


async def test_a_request_is_told_with_what_it_rested_on(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await created(client, title="Then", rules=[TWO_TOPUPS], per_user_limit=1)
    await client.post(f"/api/offers/{offer['id']}/publish")
    request = redeem(offer["id"], ADA, quantity=3, unit_price="1000.00")
    await decide(pool, request)
    await client.put(f"/api/offers/{offer['id']}", json=DRAFT | {"title": "Now", "version": 2})
    seen = words(await page_of(client, f"/requests/{request['request_id']}"))
    for told in (
        *("Rejected The user does not meet the offer's rules", "on the offer Then", "3 × 1,000.00 = 3,000.00"),
        *("two-topups Failed 2 0 2 more topups", "Rules passed then no", "Used by the user before 0 times"),
        "The offer then 10% off on every product, at any time; at most 1 time by each user.",
    ):
        assert told in seen
    assert "Redemption rejected" in seen
    found = (await client.get(f"/api/requests/{request['request_id']}")).json()
    assert (found["reply"]["reason"], found["inputs"]["offer"]["eligible"]) == ("not_eligible", False)
    assert (found["request"]["quantity"], found["offer"]["title"]) == (3, "Then")


async def test_a_request_whose_decision_is_kept_no_longer_is_told_by_the_log(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    offer = await created(client)
    await client.post(f"/api/offers/{offer['id']}/publish")
    accepted, rejected = redeem(offer["id"], ADA), redeem(uuid4(), ADA)
    await decide(pool, accepted, rejected)
    await decide(pool, accepted | {"quantity": 2})  # The same id with other content: a conflict, not the decision.
    await pool.execute("DELETE FROM redemption_decisions")
    seen = words(await page_of(client, f"/requests/{accepted['request_id']}"))
    assert "Accepted" in seen
    assert "Paid 90.00" in seen
    found = (await client.get(f"/api/requests/{rejected['request_id']}")).json()
    assert (found["reply"]["reason"], found["offer"]) == ("offer_not_found", None)
    problem(await client.get(f"/api/requests/{uuid4()}"), 404)
    assert (await client.get(f"/requests/{uuid4()}")).status_code == 404


async def test_a_revocation_is_found_by_its_own_request_with_the_redemption_it_ended(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    offer = await created(client)
    await client.post(f"/api/offers/{offer['id']}/publish")
    request = redeem(offer["id"], ADA)
    revoke = {
        "request_id": str(uuid4()),
        "command": "revoke",
        "redeem_request_id": request["request_id"],
        "reason": "wrong number",
    }
    await decide(pool, request, revoke)
    seen = words(await page_of(client, f"/requests/{revoke['request_id']}"))
    assert "Asked for a revocation" in seen
    assert "Reason given wrong number" in seen
    assert "Redemption revoked" in seen
    assert "Redemption accepted" in seen
    found = (await client.get("/api/audit", params={"request_id": revoke["request_id"]})).json()
    assert [item["type"] for item in found["items"]] == ["redemption.revoked", "redemption.accepted"]


async def test_what_others_wrote_is_shown_as_text(client: httpx.AsyncClient, pool: Pool) -> None:
    rule = TWO_TOPUPS | {"description": SCRIPT}
    offer = await created(client, title=SCRIPT, description=SCRIPT, rules=[rule], allowed_roles=[SCRIPT])
    await audit_changes(pool)
    sent = {
        "request": {"request_id": str(uuid4()), "code": SCRIPT, "reason": SCRIPT},
        "reply": {"status": "rejected", "reason": SCRIPT, "message": SCRIPT, "explanation": [{"rule_key": SCRIPT}]},
        "by": {"role": SCRIPT, "address": SCRIPT},
    }
    await audit(pool, [event(actor=SCRIPT, offer_id=offer["id"], type="redemption.rejected", data=sent)], 1)
    for html in (
        await page_of(client, "/audit", actor=SCRIPT),
        await page_of(client, f"/offers/{offer['id']}/history"),
        await page_of(client, f"/offers/{offer['id']}/history", show="all"),
        await page_of(client, f"/audit/entries?offer_id={offer['id']}"),
    ):
        assert "<script>alert" not in html
        assert html.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") >= 4


async def test_odd_data_of_an_event_hides_no_page(client: httpx.AsyncClient, pool: Pool) -> None:
    odd: list[dict[str, Any]] = [{"changes": 7}, {"reply": []}, {"reply": {"explanation": {}}}, {"by": "me"}, {}]
    await audit(pool, [event(data=data, occurred_at=datetime(2026, 1, 1, tzinfo=UTC)) for data in odd])
    assert len(re.findall("<h3", await page_of(client, "/audit"))) == 5
