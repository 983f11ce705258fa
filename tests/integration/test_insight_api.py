"""Insight over HTTP: series and totals by hand, and events that follow what happens, for as long as one may look."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, closing
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from deploy.embedded.ports import free_port
from services.admin.app import create_watching
from services.admin.insight.census import Census
from services.admin.insight.figures import midnight
from services.admin.insight.models import Figures
from services.admin.insight.store import load_figures
from services.admin.insight.watching import Watching
from shared.clock import utc_now
from shared.database import Pool
from shared.http.server import DRAIN_S_MAX, serving
from shared.security import Role, create_token
from shared.settings import HttpSettings
from tests.support.admin import NOBODY, admin_api, client_of, editing, problem
from tests.support.campaign import add_offer
from tests.support.event_streams import SOON_S, Reader
from tests.support.insight import ACCEPTED, REVOKED, add_decisions, add_members, count_all, rejected

RULE = {"rule_type": "min_topups", "params": {"count": 1}}


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client."""
    async with editing(pool) as opened:
        yield opened


async def test_an_offer_that_nobody_used_has_zeros_and_no_gaps(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await add_offer(pool, total_usage_limit=50)
    answer = await client.get(f"/api/offers/{offer}/insight", params={"hours": 24})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["totals"] == {
        "used": 0,
        "usage_limit": 50,
        "discount_given": "0.00",
        "members": 0,
        "members_counted_at": None,
        "accepted_today": 0,
        "rejected_today": 0,
        "revoked_today": 0,
    }
    assert (found["hours"], found["bucket"], found["reasons"], found["rebuild"]) == (24, "hour", [], None)
    assert len(found["outcomes"]) == len(found["members"]) == 24
    assert {(point["accepted"], point["revoked"], str(point["rejected"])) for point in found["outcomes"]} == {
        (0, 0, "{}")
    }


async def test_what_became_of_redemptions_is_told_by_hour_and_reason(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await add_offer(pool, [RULE], usage_count=5)
    today = midnight(utc_now())
    await add_decisions(pool, offer, ACCEPTED, today, 4, "2.50")
    await add_decisions(pool, offer, REVOKED, today, 1, "2.50")
    await add_decisions(pool, offer, rejected("not_eligible"), today, 2)
    await add_decisions(pool, offer, ACCEPTED, today - timedelta(hours=1), 3, "1.00")
    await add_decisions(pool, offer, rejected("offer_ended"), today - timedelta(days=20), 6)
    await count_all(pool, today - timedelta(days=30))
    await add_members(pool, offer, 3)
    found = (await client.get(f"/api/offers/{offer}/insight", params={"hours": 26})).json()
    points = {point["at"]: (point["accepted"], point["revoked"], point["rejected"]) for point in found["outcomes"]}
    assert points[f"{today:%Y-%m-%dT%H:%M:%SZ}"] == (4, 1, {"not_eligible": 2})
    assert points[f"{today - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"] == (3, 0, {})
    totals = found["totals"]
    assert (totals["used"], totals["discount_given"], totals["members"]) == (5, "10.50", 3)
    assert (totals["accepted_today"], totals["rejected_today"], totals["revoked_today"]) == (4, 2, 1)
    assert found["day"] == {
        "at": f"{today:%Y-%m-%dT%H:%M:%SZ}", "accepted": 4, "revoked": 1, "rejected": {"not_eligible": 2},
    }  # fmt: skip
    assert found["reasons"] == [
        {"reason": "not_eligible", "text": "The user does not meet the offer's rules", "count": 2}
    ]
    month = (await client.get(f"/api/offers/{offer}/insight", params={"hours": 720})).json()
    assert (month["bucket"], len(month["outcomes"])) == ("day", 30)
    assert [reason["count"] for reason in month["reasons"]] == [6, 2]
    assert sum(point["accepted"] for point in month["outcomes"]) == 7


async def test_members_are_told_over_time_and_as_they_are_now(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await add_offer(pool, [RULE])
    await add_members(pool, offer, 2)
    await Census(pool).count()
    await pool.execute("UPDATE offer_member_counts SET hour = hour - interval '3 hours'")
    await add_members(pool, offer, 5)
    found = (await client.get(f"/api/offers/{offer}/insight", params={"hours": 5})).json()
    assert [point["members"] for point in found["members"]] == [None, 2, 2, 2, 7]


async def test_a_great_many_members_are_told_as_they_were_last_counted(
    client: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.admin.insight.store.MEMBERS_EXACT_MAX", 10)
    offer = await add_offer(pool, [RULE])
    await add_members(pool, offer, 12)
    await Census(pool).count()
    await add_members(pool, offer, 3)
    totals = (await client.get(f"/api/offers/{offer}/insight")).json()["totals"]
    assert (totals["members"], totals["members_counted_at"] is None) == (12, False)


async def test_a_rebuild_under_way_is_told_with_its_progress(client: httpx.AsyncClient, pool: Pool) -> None:
    offer = await add_offer(pool, [RULE])

    async def rebuild() -> Any:
        return (await client.get(f"/api/offers/{offer}/insight")).json()["rebuild"]

    assert await rebuild() == {"users_done": 0, "users_total": 0}, "nobody has begun"
    await pool.execute(
        "INSERT INTO offer_segment_rebuilds (offer_id, rules_version, live, users_done, users_total)"
        " SELECT id, rules_version, true, 2000, 9000 FROM offers"
    )
    assert await rebuild() == {"users_done": 2000, "users_total": 9000}
    await pool.execute("UPDATE offer_segment_rebuilds SET finished_at = now()")
    assert await rebuild() is None
    await pool.execute("UPDATE offers SET eligibility_logic = 'any'")
    assert await rebuild() == {"users_done": 0, "users_total": 0}, "the rules have changed since"
    await pool.execute("UPDATE offers SET status = 'archived'")
    assert await rebuild() is None, "an archived offer keeps no members"


@pytest.mark.parametrize("path", ["insight", "insight/events"])
async def test_an_offer_there_is_not_has_no_insight(client: httpx.AsyncClient, path: str) -> None:
    problem(await client.get(f"/api/offers/{NOBODY}/{path}"), 404)
    problem(await client.get(f"/api/offers/no-id/{path}"), 422)


@pytest.mark.parametrize("hours", ["0", "8785", "many"])
async def test_hours_out_of_range_are_refused(client: httpx.AsyncClient, hours: str) -> None:
    problem(await client.get(f"/api/offers/{NOBODY}/insight", params={"hours": hours}), 422)


@pytest.mark.parametrize("path", ["insight", "insight/events"])
async def test_without_a_token_nothing_is_told(pool: Pool, path: str) -> None:
    async with client_of(pool, admin_api(pool), None) as nobody:
        problem(await nobody.get(f"/api/offers/{NOBODY}/{path}"), 401)


@asynccontextmanager
async def listening(api: FastAPI, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that really listens."""
    settings = HttpSettings(http_port=free_port())
    address = f"http://{settings.http_host}:{settings.http_port}"
    headers = {"Authorization": f"Bearer {token}"}
    async with serving(api, settings), httpx.AsyncClient(base_url=address, headers=headers, timeout=SOON_S) as client:
        yield client


async def test_events_follow_what_happens_and_end_with_the_login(pool: Pool) -> None:
    offer = await add_offer(pool)
    async with pool.acquire() as connection:
        token = await create_token(connection, "the-viewer", Role.viewer)
    watching = Watching(partial(load_figures, pool), look_s=0.1)
    async with (
        listening(admin_api(pool, watching=watching), token) as client,
        client.stream("GET", f"/api/offers/{offer}/insight/events") as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        events = Reader(response)
        assert (await events.next_figures())["totals"]["used"] == 0
        await pool.execute("UPDATE offers SET usage_count = 3")
        assert (await events.next_figures())["totals"]["used"] == 3
        await add_decisions(pool, offer, rejected("offer_ended"), utc_now())
        await count_all(pool)
        assert (await events.next_figures())["day"]["rejected"] == {"offer_ended": 1}
        await pool.execute("UPDATE api_tokens SET revoked_at = now()")
        await pool.execute("UPDATE offers SET usage_count = 4")
        await events.ended()


async def test_streams_end_at_once_when_the_service_stops(pool: Pool) -> None:
    offer = await add_offer(pool)
    async with pool.acquire() as connection:
        token = await create_token(connection, "the-viewer", Role.viewer)
    watching = create_watching(pool)
    started = asyncio.Event()

    async def watch(client: httpx.AsyncClient) -> None:
        async with client.stream("GET", f"/api/offers/{offer}/insight/events") as response:
            events = Reader(response)
            await events.next_figures()
            started.set()
            await events.ended()

    async with listening(admin_api(pool, watching=watching), token) as client:
        with closing(watching):
            watcher = asyncio.create_task(watch(client))
            await started.wait()
        async with asyncio.timeout(DRAIN_S_MAX / 2):
            await watcher
        problem(await client.get(f"/api/offers/{offer}/insight/events"), 503)


async def test_watchers_of_an_offer_share_one_look_and_all_end_at_the_close(pool: Pool) -> None:
    offer = await add_offer(pool)
    looks: list[UUID] = []

    async def load(offer_id: UUID) -> Figures | None:
        looks.append(offer_id)
        return await load_figures(pool, offer_id)

    watching = Watching(load, look_s=0.2)

    async def watch() -> list[int]:
        seen: list[int] = []
        async with aclosing(watching.watch(offer)) as figures:
            async for one in figures:
                assert one is not None
                seen.append(one.totals.used)
                if one.totals.used == 0:
                    arrived.release()
        return seen

    arrived = asyncio.Semaphore(0)
    watchers = [asyncio.create_task(watch()) for _ in range(20)]
    for _ in watchers:
        await arrived.acquire()
    looked = len(looks)
    await pool.execute("UPDATE offers SET usage_count = 1")
    async with asyncio.timeout(SOON_S):
        while len(looks) < looked + 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    watching.close()
    assert await asyncio.gather(*watchers) == [[0, 1]] * 20
    assert len(looks) < 20, "each watcher looked by itself"


async def test_so_many_may_watch_and_no_more(pool: Pool) -> None:
    offer = await add_offer(pool)
    watching = Watching(lambda offer_id: load_figures(pool, offer_id), watchers_max=2)
    first, second = watching.watch(offer), watching.watch(offer)
    await anext(first)
    assert not watching.is_full
    await anext(second)
    assert watching.is_full
    await first.aclose()
    assert not watching.is_full
    await second.aclose()
    create_watching(pool).close()
    watching.close()
    assert watching.is_full
    assert [figures async for figures in watching.watch(offer)] == []


async def test_nothing_new_is_a_heartbeat(pool: Pool) -> None:
    offer = await add_offer(pool)
    watching = Watching(lambda offer_id: load_figures(pool, offer_id), look_s=0.05)
    async with aclosing(watching.watch(offer, heartbeat_s=0.2)) as figures:
        assert await anext(figures) is not None
        assert await anext(figures) is None
