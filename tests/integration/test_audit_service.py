"""The audit service over real Kafka and PostgreSQL: what is stored, what is found, and what verification names."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import orjson
import pytest
from aiokafka import ConsumerRecord
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.embedded.ports import free_port
from services.audit import store
from services.audit.api import create_api
from services.audit.app import AuditSettings, openapi, serve, wire
from services.audit.chain import BrokenLink, canonical_json, canonical_stored
from services.audit.handler import AuditHandler
from services.audit.store import verify_chains
from shared.broker import Outgoing, Publisher
from shared.consuming import Received
from shared.database import Pool
from shared.errors import ConfigurationError
from shared.events.audit_events import AuditEvent
from shared.security import Role, create_token
from shared.settings import KafkaSettings
from shared.sqlfile import load_queries
from shared.topics import AUDIT_EVENTS, dead_letter_topic
from tests.support.topics import reading

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OFFER, USER = UUID(int=0xA), UUID(int=0xB)


def event(**fields: Any) -> AuditEvent:
    """An accepted redemption, unless the fields say otherwise."""
    return AuditEvent.model_validate(
        {
            "event_id": uuid4(),
            "type": "redemption.accepted",
            "actor": "checkout",
            "entity_type": "redemption",
            "entity_id": uuid4(),
            "occurred_at": NOON,
            "data": {"price": "90.00"},
        }
        | fields
    )


def message(audited: AuditEvent) -> Outgoing:
    return Outgoing(AUDIT_EVENTS, str(audited.entity_id).encode(), audited.to_bytes())


def received(events: Sequence[AuditEvent], partition: int = 0) -> list[Received[AuditEvent]]:
    """The events as a batch of one partition."""
    return [
        Received(each, ConsumerRecord(AUDIT_EVENTS, partition, place, 0, 0, None, b"", None, 0, 0, ()))
        for place, each in enumerate(events)
    ]


async def verify(pool: Pool) -> list[BrokenLink]:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        broken, _, _ = await verify_chains(connection)
    return broken


async def until(query: str, on: Any, wanted: int) -> None:
    """Wait until a count has come to what is wanted."""
    async with asyncio.timeout(20):
        while True:
            if await on.fetchval(query) >= wanted:
                return
            await asyncio.sleep(0.02)


async def until_stored(pool: Pool, count: int) -> None:
    """Wait until the log has so many rows."""
    await until("SELECT count(*) FROM audit_log", pool, count)


@asynccontextmanager
async def audit_worker(pool: Pool, kafka: KafkaSettings, publisher: Publisher) -> AsyncIterator[None]:
    broker = wire(AuditSettings(database_url="postgresql://unused", **kafka.model_dump()), pool, publisher)
    await broker.start()
    try:
        yield
    finally:
        await broker.stop()


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """A viewer's client of the HTTP API."""
    async with pool.acquire() as connection:
        token = await create_token(connection, "auditor", Role.viewer)
    transport = httpx.ASGITransport(create_api(pool, _answers))
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://audit", headers=headers) as client:
        yield client


async def _answers() -> None:
    """Kafka is there."""


async def test_events_are_stored_once_in_one_chain_a_partition(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher
) -> None:
    events = [event(data={"number": number}) for number in range(200)]
    await publisher.publish_all(message(each) for each in [*events, *events[:50]])
    async with audit_worker(pool, kafka, publisher):
        await until_stored(pool, 200)
        last = event(data={"number": 200})
        await publisher.publish_all(message(each) for each in [*events[100:], last])
        await until_stored(pool, 201)
    rows = await pool.fetch("SELECT event_id, data FROM audit_log")
    assert {row["event_id"]: row["data"]["number"] for row in rows} == {
        each.event_id: each.data["number"] for each in [*events, last]
    }
    chains = await pool.fetch(
        "SELECT chain, count(*) AS rows, max(sequence) AS last FROM audit_log GROUP BY chain ORDER BY chain"
    )
    assert [row["chain"] for row in chains] == [0, 1, 2, 3]
    assert all(row["rows"] == row["last"] for row in chains)
    assert await verify(pool) == []


async def test_what_cannot_be_stored_is_dead_lettered_and_its_neighbours_are_not(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher
) -> None:
    good, nul, nan = event(), event(data={"text": "a\0b"}), event()
    not_a_number = nan.to_bytes().replace(b'"90.00"', b"NaN")
    async with audit_worker(pool, kafka, publisher), reading(kafka, dead_letter_topic(AUDIT_EVENTS)) as dead:
        await publisher.publish_all(
            [
                message(nul),
                Outgoing(AUDIT_EVENTS, b"k", not_a_number),
                Outgoing(AUDIT_EVENTS, b"k", b"{}"),
                Outgoing(AUDIT_EVENTS, b"k", None),
                message(good),
            ]
        )
        records = await dead.read(4)
        await until_stored(pool, 1)
    assert await pool.fetchval("SELECT array_agg(event_id) FROM audit_log") == [good.event_id]
    assert {record.value for record in records} == {nul.to_bytes(), not_a_number, b"{}", None}
    assert await verify(pool) == []


async def test_workers_at_once_on_one_partition_keep_the_chain_whole(pool: Pool) -> None:
    events = [event() for _ in range(300)]
    batches = [events[start : start + 60] for start in range(0, 300, 30)]
    handler = AuditHandler(pool)
    await asyncio.gather(*(handler(received(batch)) for batch in batches))
    assert await pool.fetchval("SELECT count(*) FROM audit_log") == 300
    assert await pool.fetchval("SELECT sequence FROM audit_chains WHERE chain = 0") == 300
    assert await verify(pool) == []


async def test_batches_of_the_same_partitions_in_another_order_do_not_deadlock(pool: Pool) -> None:
    handler = AuditHandler(pool)
    one = [item for partition in (0, 1, 2) for item in received([event() for _ in range(5)], partition)]
    two = [item for partition in (2, 1, 0) for item in received([event() for _ in range(5)], partition)]
    await asyncio.gather(*(handler(batch) for batch in [one, two] * 5))
    ends = await pool.fetch("SELECT chain, sequence FROM audit_chains ORDER BY chain")
    assert [tuple(end) for end in ends] == [(0, 10), (1, 10), (2, 10)]
    assert await verify(pool) == []


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**60), max_value=10**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(value=values, indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
async def test_the_content_of_any_data_survives_the_wire_and_jsonb(
    pool: Pool, value: Any, indent: int | None, ascii_only: bool
) -> None:
    data = json.dumps({"data": value}, indent=indent, ensure_ascii=ascii_only)
    sent = event().to_bytes().replace(b'{"price":"90.00"}', data.encode())
    content = canonical_json(AuditEvent.model_validate_json(sent).data)
    stored = await pool.fetchval("SELECT $1::text::jsonb::text", content.decode())
    assert canonical_stored(stored) == content


TAMPERING = [
    ("UPDATE audit_log SET actor = 'nobody' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET data = jsonb_set(data, '{price}', '\"0.00\"') WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET occurred_at = occurred_at + interval '1 microsecond' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET occurred_at = 'infinity' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET recorded_at = '-infinity' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET recorded_at = '10000-01-01' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET user_id = entity_id WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET hash = '\\x00' WHERE sequence = 3", [3, 4]),
    ("DELETE FROM audit_log WHERE sequence = 3", [3]),
    ("DELETE FROM audit_log WHERE sequence > 3", [4]),
    ("DELETE FROM audit_log", [1]),
    ("UPDATE audit_chains SET sequence = 4", [5]),
    ("DELETE FROM audit_chains", [5]),
    ("UPDATE audit_log SET data = data || '{}' WHERE sequence = 3", []),
]


@pytest.mark.parametrize(("statement", "broken"), TAMPERING)
async def test_verification_names_what_was_tampered_with(pool: Pool, statement: str, broken: list[int]) -> None:
    await AuditHandler(pool)(received([event() for _ in range(5)]))
    assert await verify(pool) == []
    await pool.execute(statement)
    assert [link.sequence for link in await verify(pool)] == broken


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


async def test_verification_over_http(pool: Pool, api: httpx.AsyncClient) -> None:
    events = [event() for _ in range(3)]
    await AuditHandler(pool)(received(events))
    whole = (await api.get("/audit/verify")).json()
    assert (whole["intact"], whole["rows"], whole["broken"]) == (True, 3, [])
    assert [(chain["chain"], chain["sequence"]) for chain in whole["chains"]] == [(0, 3)]
    await pool.execute("UPDATE audit_log SET type = 'redemption.rejected' WHERE sequence = 2")
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
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'audit_chains'::regclass"
            await until(waiting, blocker, 1)
            refused = await api.get("/audit/export")
    finally:
        await pool.release(blocker)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert (await first).status_code == 200


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "audit_log_occurred_at"),
        ({"$1": UUID(int=1)}, "audit_log_entity"),
        ({"$2": UUID(int=1)}, "audit_log_offer"),
        ({"$3": UUID(int=1)}, "audit_log_user"),
        ({"$5": NOON, "$6": NOON + timedelta(hours=1)}, "audit_log_occurred_at"),
        ({"$7": NOON, "$8": UUID(int=1)}, "audit_log_occurred_at"),
    ],
)
async def test_each_filter_uses_its_index(pool: Pool, filters: dict[str, Any], index: str) -> None:
    await pool.execute(
        "INSERT INTO audit_log (event_id, chain, sequence, type, actor, entity_type, entity_id, offer_id, user_id,"
        " occurred_at, data, hash) SELECT gen_random_uuid(), 0, n, 'offer.updated', 'a', 'offer', gen_random_uuid(),"
        " gen_random_uuid(), gen_random_uuid(), now() - n * interval '1 minute', '{}', ''"
        " FROM generate_series(1, 20000) AS n"
    )
    await pool.execute("ANALYZE audit_log")
    queries = load_queries(store.__file__)
    arguments = [filters.get(f"${place}") for place in range(1, 9)]
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(queries.plan_for_filters)
        plan = await connection.fetch("EXPLAIN " + queries.find_events, *arguments, 101)
    assert index in "\n".join(row[0] for row in plan)


async def test_the_service_starts_answers_and_stops(
    database_url: str, pool: Pool, kafka: KafkaSettings, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    for name, value in {**kafka.model_dump(), "database_url": database_url, "http_port": port}.items():
        if value is not None:
            monkeypatch.setenv(f"OFFERS_{name.upper()}", str(value))
    async with pool.acquire() as connection:
        token = await create_token(connection, "auditor", Role.viewer)
    stop, ready = asyncio.Event(), asyncio.Event()
    service = asyncio.create_task(serve(stop, ready.set))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(30):
        await ready.wait()
        assert (await client.get("/readyz")).status_code == 200
        await publisher.publish_all([message(event())])
        await until_stored(pool, 1)
        found = await client.get("/audit", headers={"Authorization": f"Bearer {token}"})
        assert len(found.json()["items"]) == 1
        with pytest.raises(ConfigurationError, match="OFFERS_HTTP_PORT"):
            await serve(asyncio.Event(), lambda: None)
        stop.set()
        await service
        with pytest.raises(httpx.ConnectError):
            await client.get("/healthz")


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


def test_the_openapi_document_needs_no_server() -> None:
    document = openapi()
    assert sorted(document["paths"]) == ["/audit", "/audit/export", "/audit/verify", "/healthz", "/readyz"]
    parameters = {parameter["name"] for parameter in document["paths"]["/audit"]["get"]["parameters"]}
    assert parameters == {"entity_id", "offer_id", "user_id", "type", "from", "to", "after", "limit"}
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
