"""The audit API: filters, pages, exports, verification over HTTP, refusals."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson
import pytest

from services.audit.api import create_api
from services.audit.app import openapi
from services.audit.handler import AuditHandler
from shared.audit_log import reading
from shared.database import Pool
from shared.named_ids import redemption_id_of
from shared.security import Role, create_token
from shared.sessions import Sessions, connect_redis
from shared.settings import RedisSettings, SessionSettings
from shared.sqlfile import load_queries
from tests.support.audit import NOON, event, received, tamper
from tests.support.waiting import until

OFFER: Final = UUID(int=0xA)
USER: Final = UUID(int=0xB)
LOCK_AWAITED = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'audit_chains'::regclass"


async def _answers() -> None:
    """Kafka is there."""


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """A viewer's client of the HTTP API."""
    async with pool.acquire() as connection:
        token = await create_token(connection, "auditor", Role.viewer)
    transport = httpx.ASGITransport(create_api(pool, _answers))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://audit", headers=headers) as client:
        yield client


async def test_filters_find_what_they_name_newest_first(pool: Pool, api: httpx.AsyncClient) -> None:
    entity = uuid4()
    events = [
        event(occurred_at=NOON, offer_id=OFFER, user_id=USER),
        event(occurred_at=NOON + timedelta(minutes=1), offer_id=OFFER, entity_id=entity),
        event(occurred_at=NOON + timedelta(minutes=2), user_id=USER, type="redemption.revoked"),
        event(occurred_at=NOON + timedelta(minutes=3), entity_id=entity, type="offer.updated", entity_type="offer"),
    ]
    await AuditHandler(pool)(received(events))
    ids = [str(each.event_id) for each in events]

    async def found(**filters: Any) -> list[str]:
        response = await api.get("/audit", params=filters)
        assert response.status_code == 200, response.text
        exported = await api.get("/audit/export", params=filters)
        items: list[dict[str, Any]] = response.json()["items"]
        assert [orjson.loads(line) for line in exported.content.splitlines()] == items
        return [item["event_id"] for item in items]

    assert await found() == ids[::-1]
    assert await found(entity_id=entity) == [ids[3], ids[1]]
    assert await found(offer_id=OFFER) == [ids[1], ids[0]]
    assert await found(user_id=USER) == [ids[2], ids[0]]
    assert await found(type="redemption.revoked") == [ids[2]]
    assert await found(offer_id=OFFER, user_id=USER) == [ids[0]]
    assert await found(**{"from": "2026-11-24T12:01:00Z", "to": "2026-11-24T12:03:00Z"}) == [ids[2], ids[1]]
    assert await found(**{"from": "2026-11-24T14:01:00+02:00"}) == ids[:0:-1]
    assert await found(entity_id=UUID(int=1)) == []


async def test_what_became_of_a_request_is_found_and_what_somebody_did(pool: Pool, api: httpx.AsyncClient) -> None:
    request_id = uuid4()
    rejected = event(entity_type="request", entity_id=request_id, type="redemption.rejected")
    accepted = event(entity_id=redemption_id_of(request_id), occurred_at=NOON + timedelta(minutes=1))
    edited = event(type="offer.updated", entity_type="offer", actor="ada", occurred_at=NOON + timedelta(minutes=2))
    await AuditHandler(pool)(received([rejected, accepted, edited]))

    async def found(**filters: Any) -> list[str]:
        return [item["event_id"] for item in (await api.get("/audit", params=filters)).json()["items"]]

    assert await found(request_id=request_id) == [str(accepted.event_id), str(rejected.event_id)]
    assert await found(request_id=uuid4()) == []
    assert await found(actor="ada") == [str(edited.event_id)]
    assert await found(actor="checkout", type="redemption.accepted") == [str(accepted.event_id)]


async def test_pages_meet_without_gap_or_overlap(pool: Pool, api: httpx.AsyncClient) -> None:
    events = [event(occurred_at=NOON + timedelta(seconds=number // 4)) for number in range(25)]
    await AuditHandler(pool)(received(events))
    pages: list[list[str]] = []
    after: dict[str, str] = {}
    while True:
        page = (await api.get("/audit", params={"limit": 10, **after})).json()
        pages.append([item["event_id"] for item in page["items"]])
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert [len(page) for page in pages] == [10, 10, 5]
    newest_first = sorted(events, key=lambda each: (each.occurred_at, each.event_id), reverse=True)
    assert [id_ for page in pages for id_ in page] == [str(each.event_id) for each in newest_first]


async def test_an_event_is_shown_as_it_came_numbers_unrounded(pool: Pool, api: httpx.AsyncClient) -> None:
    sent = event(data={"big": 123456789012345678901234567890, "text": "é"}, user_id=USER)
    await AuditHandler(pool)(received([sent], partition=2))
    response = await api.get("/audit")
    (item,) = response.json()["items"]
    recorded_at, hash_ = item.pop("recorded_at"), item.pop("hash")
    assert item == {
        "event_id": str(sent.event_id),
        "type": "redemption.accepted",
        "actor": "checkout",
        "entity_type": "redemption",
        "entity_id": str(sent.entity_id),
        "offer_id": None,
        "user_id": str(USER),
        "occurred_at": "2026-11-24T12:00:00Z",
        "data": {"big": 123456789012345678901234567890, "text": "é"},
        "chain": 2,
        "sequence": 1,
    }
    assert recorded_at.endswith("Z")
    assert len(bytes.fromhex(hash_)) == 32


async def test_an_export_has_every_row_of_a_large_log(pool: Pool, api: httpx.AsyncClient) -> None:
    await AuditHandler(pool)(received([event(offer_id=OFFER) for _ in range(2_600)]))
    async with api.stream("GET", "/audit/export", params={"offer_id": str(OFFER)}) as response:
        assert response.headers["content-type"] == "application/x-ndjson"
        ids = [orjson.loads(line)["event_id"] async for line in response.aiter_lines()]
    assert len(ids) == len(set(ids)) == 2_600


async def test_an_export_as_csv(pool: Pool, api: httpx.AsyncClient) -> None:
    sent = event(actor='Ada "the first", admin', offer_id=OFFER, data={"before": {"title": "a,b"}})
    await AuditHandler(pool)(received([sent]))
    response = await api.get("/audit/export", params={"format": "csv"})
    assert response.headers["content-type"].startswith("text/csv")
    header, row = csv.reader(io.StringIO(response.text))
    assert header == [
        *("event_id", "type", "actor", "entity_type", "entity_id", "offer_id", "user_id", "occurred_at", "data"),
        *("recorded_at", "chain", "sequence", "hash"),
    ]
    found = dict(zip(header, row, strict=True))
    assert found["event_id"] == str(sent.event_id)
    assert (found["actor"], found["offer_id"], found["user_id"]) == ('Ada "the first", admin', str(OFFER), "")
    assert (found["occurred_at"], found["sequence"]) == ("2026-11-24T12:00:00Z", "1")
    assert orjson.loads(found["data"]) == {"before": {"title": "a,b"}}


async def test_verification_tells_how_far_it_is(
    pool: Pool, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.audit.api.PROGRESS_ROWS", 500)
    await AuditHandler(pool)(received([event() for _ in range(1_200)]))
    response = await api.get("/audit/verify", headers={"accept": "application/x-ndjson"})
    assert response.headers["content-type"] == "application/x-ndjson"
    *progress, answer = [orjson.loads(line) for line in response.text.splitlines()]
    assert [line["rows"] for line in progress] == [500, 1_000]
    assert (answer["intact"], answer["rows"]) == (True, 1_200)


async def test_verification_over_http(pool: Pool, api: httpx.AsyncClient) -> None:
    events = [event() for _ in range(3)]
    await AuditHandler(pool)(received(events))
    whole = (await api.get("/audit/verify")).json()
    assert (whole["intact"], whole["rows"], whole["broken"]) == (True, 3, [])
    assert [(chain["chain"], chain["sequence"]) for chain in whole["chains"]] == [(0, 3)]
    await tamper(pool, "UPDATE audit_log SET type = 'redemption.rejected' WHERE sequence = 2")
    broken = (await api.get("/audit/verify")).json()
    assert broken["intact"] is False
    assert [(link["chain"], link["sequence"], link["event_id"]) for link in broken["broken"]] == [
        (0, 2, str(events[1].event_id))
    ]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("after=nonsense", "after"),
        ("after=AAAA", "after"),
        ("offer_id=7", "offer_id"),
        ("type=redemption.lost", "type"),
        ("from=yesterday", "from"),
        ("from=2026-11-24T12:00:00", "from"),
        ("user=7", "user"),
    ],
)
async def test_wrong_parameters_are_named_in_a_problem(api: httpx.AsyncClient, query: str, parameter: str) -> None:
    response = await api.get(f"/audit?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["title"]) == (422, "Unprocessable Entity")
    assert problem["errors"][0]["field"].split(".")[0] == parameter


@pytest.mark.parametrize("path", ["/audit", "/audit/export", "/audit/verify"])
@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer unknown", "Basic eDp5"])
async def test_nothing_is_shown_without_a_token(api: httpx.AsyncClient, path: str, authorization: str) -> None:
    response = await api.get(path, headers={"Authorization": authorization})
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_login_to_the_admin_page_opens_the_log_while_it_holds(pool: Pool, redis_url: str) -> None:
    user = await pool.fetchval(
        "INSERT INTO admin_users (name, password_hash, role) VALUES ('maria', '$argon2id$', 'viewer') RETURNING id"
    )
    async with aclosing(Sessions(connect_redis(RedisSettings(redis_url=redis_url)), SessionSettings())) as sessions:
        session = await sessions.start(user, 1)
        transport = httpx.ASGITransport(create_api(pool, _answers, sessions=sessions))
        async with httpx.AsyncClient(transport=transport, base_url="http://audit") as browser:
            assert (await browser.get("/audit")).status_code == 401
            browser.cookies.set("offers_session", session.id, domain="audit.local", path="/")
            assert (await browser.get("/audit")).status_code == 200
            assert (await browser.get("/audit", headers={"Authorization": "Bearer unknown"})).status_code == 401
            await pool.execute("UPDATE admin_users SET version = 2")
            assert (await browser.get("/audit")).status_code == 401
    transport = httpx.ASGITransport(create_api(pool, _answers))
    async with httpx.AsyncClient(transport=transport, base_url="http://audit") as browser:
        cookie = {"Cookie": f"offers_session={session.id}"}
        assert (await browser.get("/audit", headers=cookie)).status_code == 401  # It knows of no Redis.


async def test_unknown_paths_are_problems_and_probes_need_no_token(api: httpx.AsyncClient) -> None:
    assert (await api.get("/nothing")).headers["content-type"] == "application/problem+json"
    for path in ("/healthz", "/readyz"):
        assert (await api.get(path, headers={"Authorization": ""})).status_code == 200


async def test_long_readings_are_bounded(pool: Pool, api: httpx.AsyncClient) -> None:
    blocker = await pool.acquire()
    try:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE audit_chains")
            first = asyncio.create_task(api.get("/audit/verify"))
            await until(pool, LOCK_AWAITED, 1)
            refused = await api.get("/audit/export")
    finally:
        await pool.release(blocker)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert (await first).status_code == 200


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "occurred_at_event_id_idx"),
        ({"$1": UUID(int=1)}, "entity_id_occurred_at_event_id_idx"),
        ({"$2": UUID(int=1)}, "offer_id_occurred_at_event_id_idx"),
        ({"$3": UUID(int=1)}, "user_id_occurred_at_event_id_idx"),
        ({"$5": NOON, "$6": NOON + timedelta(hours=1)}, "occurred_at_event_id_idx"),
        ({"$7": NOON, "$8": UUID(int=1)}, "occurred_at_event_id_idx"),
        ({"$10": [UUID(int=1), UUID(int=2)]}, "entity_id_occurred_at_event_id_idx"),
        ({"$11": "ada"}, "actor_occurred_at_event_id_idx"),
        ({"$4": "offer.published"}, "type_occurred_at_event_id_idx"),
        ({"$4": "redemption.revoked"}, "type_occurred_at_event_id_idx"),
    ],
)
async def test_each_filter_uses_its_index(pool: Pool, filters: dict[str, Any], index: str) -> None:
    await pool.execute(
        "INSERT INTO audit_log (event_id, chain, sequence, type, actor, entity_type, entity_id, offer_id, user_id,"
        " occurred_at, data, hash) SELECT gen_random_uuid(), 0, n,"
        " CASE WHEN n % 100 = 0 THEN 'offer.updated' ELSE 'redemption.accepted' END,"
        " CASE WHEN n % 100 = 0 THEN 'bo' ELSE 'checkout' END, 'offer', gen_random_uuid(),"
        " gen_random_uuid(), gen_random_uuid(), now() - n * interval '1 minute', '{}', ''"
        " FROM generate_series(1, 20000) AS n"
    )
    await pool.execute("ANALYZE audit_log")
    queries = load_queries(reading.__file__)
    arguments = [filters.get(f"${place}", 101 if place == 9 else None) for place in range(1, 12)]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(queries.plan_for_filters)
        plan = await connection.fetch("EXPLAIN " + queries.find_events, *arguments)
    assert index in "\n".join(row[0] for row in plan)


async def test_readiness_says_what_does_not_answer(pool: Pool, database_url: str) -> None:
    async def away() -> None:
        raise ConnectionError

    async def probe(on: Pool, kafka: Any) -> tuple[int, str]:
        transport = httpx.ASGITransport(create_api(on, kafka))
        async with httpx.AsyncClient(transport=transport, base_url="http://audit") as client:
            response = await client.get("/readyz")
        return response.status_code, response.json()["detail"]

    status, detail = await probe(pool, away)
    assert (status, "Kafka" in detail) == (503, True)
    closed = await asyncpg.create_pool(database_url, min_size=1, max_size=1)
    await closed.close()
    status, detail = await probe(closed, _answers)
    assert (status, "database" in detail) == (503, True)


async def test_the_openapi_document_needs_no_server() -> None:
    document = openapi()
    assert sorted(document["paths"]) == ["/audit", "/audit/export", "/audit/verify", "/healthz", "/metrics", "/readyz"]
    parameters = {parameter["name"] for parameter in document["paths"]["/audit"]["get"]["parameters"]}
    assert parameters == {
        *("entity_id", "offer_id", "user_id", "request_id", "type", "actor", "from", "to", "after", "limit"),
    }
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
