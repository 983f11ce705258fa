"""The audit service over real Kafka and PostgreSQL: what is stored, and what verification names."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.embedded.ports import free_port
from services.audit.app import serve
from services.audit.chain import canonical_json, canonical_stored
from services.audit.handler import AuditHandler
from services.audit.verification import verify_chains
from shared.broker import Outgoing, Publisher
from shared.database import Pool
from shared.errors import ConfigurationError
from shared.events.audit_events import AuditEvent
from shared.security import Role, create_token
from shared.settings import KafkaSettings
from shared.topics import AUDIT_EVENTS, dead_letter_topic
from tests.support.audit import audit_worker, broken_links, event, message, received, tamper, until_stored
from tests.support.topics import reading


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
    assert await broken_links(pool) == []


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
    assert await broken_links(pool) == []


async def test_workers_at_once_on_one_partition_keep_the_chain_whole(pool: Pool) -> None:
    events = [event() for _ in range(300)]
    batches = [events[start : start + 60] for start in range(0, 300, 30)]
    handler = AuditHandler(pool)
    await asyncio.gather(*(handler(received(batch)) for batch in batches))
    assert await pool.fetchval("SELECT count(*) FROM audit_log") == 300
    assert await pool.fetchval("SELECT sequence FROM audit_chains WHERE chain = 0") == 300
    assert await broken_links(pool) == []


async def test_batches_of_the_same_partitions_in_another_order_do_not_deadlock(pool: Pool) -> None:
    handler = AuditHandler(pool)
    one = [item for partition in (0, 1, 2) for item in received([event() for _ in range(5)], partition)]
    two = [item for partition in (2, 1, 0) for item in received([event() for _ in range(5)], partition)]
    await asyncio.gather(*(handler(batch) for batch in [one, two] * 5))
    ends = await pool.fetch("SELECT chain, sequence FROM audit_chains ORDER BY chain")
    assert [tuple(end) for end in ends] == [(0, 10), (1, 10), (2, 10)]
    assert await broken_links(pool) == []


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
    ("UPDATE audit_log SET event_id = gen_random_uuid() WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET chain = 1 WHERE sequence = 3", [3, 1, 3]),
    ("UPDATE audit_log SET sequence = 6 WHERE sequence = 3", [3, 6, 6]),
    ("UPDATE audit_log SET type = 'redemption.rejected' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET actor = 'nobody' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET entity_type = 'Redemption' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET entity_id = gen_random_uuid() WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET offer_id = entity_id WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET user_id = entity_id WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET occurred_at = occurred_at + interval '1 microsecond' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET occurred_at = 'infinity' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET data = jsonb_set(data, '{price}', '\"0.00\"') WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET recorded_at = recorded_at + interval '1 microsecond' WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET recorded_at = date_trunc('month', now() + interval '1 month') WHERE sequence = 3", [3]),
    ("UPDATE audit_log SET hash = set_byte(hash, 31, get_byte(hash, 31) # 1) WHERE sequence = 3", [3, 4]),
    ("UPDATE audit_log SET hash = '\\x00' WHERE sequence = 3", [3, 4]),
    (
        "UPDATE audit_log SET sequence = 0 WHERE sequence = 3; UPDATE audit_log SET sequence = 3 WHERE sequence = 4;"
        " UPDATE audit_log SET sequence = 4 WHERE sequence = 0",
        [3, 4, 5],
    ),
    (
        "INSERT INTO audit_log SELECT gen_random_uuid(), chain, 6, type, actor, entity_type, entity_id, offer_id,"
        " user_id, occurred_at, data, recorded_at, hash FROM audit_log WHERE sequence = 5",
        [6, 6],
    ),
    ("DELETE FROM audit_log WHERE sequence = 3", [3]),
    ("DELETE FROM audit_log WHERE sequence > 3", [4]),
    ("DELETE FROM audit_log", [1]),
    ("TRUNCATE audit_log", [1]),
    ("UPDATE audit_chains SET sequence = 4", [5]),
    ("UPDATE audit_chains SET hash = '\\x00'", [5]),
    ("DELETE FROM audit_chains", [5]),
    ("UPDATE audit_log SET data = data || '{}' WHERE sequence = 3", []),
]


@pytest.mark.parametrize(("statement", "broken"), TAMPERING)
async def test_verification_names_what_was_tampered_with(pool: Pool, statement: str, broken: list[int]) -> None:
    await AuditHandler(pool)(received([event() for _ in range(5)]))
    assert await broken_links(pool) == []
    await tamper(pool, statement)
    assert [link.sequence for link in await broken_links(pool)] == broken


async def test_of_very_many_broken_places_the_first_are_named_and_all_counted(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.audit.verification.BROKEN_NAMED_MAX", 2)
    await AuditHandler(pool)(received([event() for _ in range(5)]))
    await tamper(pool, "UPDATE audit_log SET actor = 'nobody'")
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        found = await verify_chains(connection)
    assert ([link.sequence for link in found.broken], found.broken_total) == ([1, 2], 5)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'nobody'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DO $$ BEGIN EXECUTE 'TRUNCATE audit_log_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'); END $$",
    ],
)
async def test_the_log_is_append_only_even_for_its_owner(pool: Pool, statement: str) -> None:
    await AuditHandler(pool)(received([event()]))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await pool.execute(statement)
    assert await pool.fetchval("SELECT array_agg(actor) FROM audit_log") == ["checkout"]


async def test_a_month_without_a_partition_gets_one_with_the_first_event(pool: Pool) -> None:
    await pool.fetch("SELECT drop_audit_months('9999-01-01')")
    await AuditHandler(pool)(received([event()]))
    month = await pool.fetchval("SELECT 'audit_log_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')")
    assert await pool.fetchval("SELECT array_agg(tableoid::regclass::text) FROM audit_log") == [month]


async def test_what_is_recorded_never_goes_back_in_time_along_a_chain(pool: Pool) -> None:
    handle = AuditHandler(pool)
    await handle(received([event()]))
    await pool.execute("UPDATE audit_chains SET recorded_at = now() + interval '1 month'")
    await handle(received([event()]))
    times = [row["recorded_at"] for row in await pool.fetch("SELECT recorded_at FROM audit_log ORDER BY sequence")]
    assert times[1] - times[0] > timedelta(days=27)
    assert await broken_links(pool) == []


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
