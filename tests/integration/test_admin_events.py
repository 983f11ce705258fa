"""What changes of offers announce on Kafka, and the service as a whole: listening, relaying, stopping."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from deploy.embedded.ports import free_port
from services.admin.app import create_api, create_relay, serve
from shared.broker import Publisher
from shared.database import Pool
from shared.errors import ConfigurationError
from shared.events.audit_events import AuditEvent
from shared.events.offers_changed import OfferChanged
from shared.http.probes import kafka_probe
from shared.outbox import OutboxRelay
from shared.security import Role, create_token
from shared.service import background
from shared.settings import KafkaSettings
from shared.topics import AUDIT_EVENTS, OFFERS_CHANGED
from tests.support.admin import DRAFT, TWO_TOPUPS, client_of, created, tokens_only
from tests.support.topics import reading
from tests.support.waiting import until

WAIT_S = 20.0


@pytest.fixture
async def client(pool: Pool, kafka: KafkaSettings, publisher: Publisher) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client of an application whose relay runs, and would not look by itself within the test."""
    relay = OutboxRelay(pool, publisher, [OFFERS_CHANGED, AUDIT_EVENTS], sweep_s=3600.0)
    api = create_api(pool, relay, kafka_probe(kafka), tokens_only(pool))
    async with background(relay.run()), client_of(pool, api, Role.editor) as opened:
        yield opened


async def test_every_change_arrives_as_an_announcement_and_an_audit_event(
    client: httpx.AsyncClient, pool: Pool, kafka: KafkaSettings
) -> None:
    offer = await created(client, rules=[TWO_TOPUPS])
    url = f"/api/offers/{offer['id']}"
    steps = [
        offer,
        (await client.put(url, json=offer | {"title": "Summer"})).json(),
        (await client.post(f"{url}/publish")).json(),
        (await client.post(f"{url}/pause")).json(),
        (await client.post(f"{url}/archive")).json(),
    ]
    kinds = ["offer.created", "offer.updated", "offer.published", "offer.paused", "offer.archived"]
    async with reading(kafka, OFFERS_CHANGED) as topic:
        records = await topic.read(5)
    changes = [OfferChanged.model_validate_json(record.value) for record in records]
    assert {record.key for record in records} == {offer["id"].encode()}
    assert [change.type for change in changes] == kinds
    assert [(c.version, c.rules_version, c.status) for c in changes] == [
        (step["version"], step["rules_version"], step["status"]) for step in steps
    ]
    assert {change.code for change in changes} == {"SPRING10"}
    assert json.loads(records[1].value)["occurred_at"] == steps[1]["updated_at"]
    async with reading(kafka, AUDIT_EVENTS) as topic:
        records = await topic.read(5)
    audits = [AuditEvent.model_validate_json(record.value) for record in records]
    assert [audit.type for audit in audits] == kinds
    for audit in audits:
        assert (audit.actor, audit.entity_type) == ("the-editor", "offer")
        assert audit.entity_id == audit.offer_id == UUID(offer["id"])
        assert audit.data["by"] == {"token": "the-editor", "role": "editor", "address": "127.0.0.1"}
    assert len({change.event_id for change in changes} | {audit.event_id for audit in audits}) == 10
    await until(pool, "SELECT count(*) FROM outbox", 0)


async def audited(kafka: KafkaSettings, count: int) -> dict[str, Any]:
    """The data of the newest of `count` audit events."""
    async with reading(kafka, AUDIT_EVENTS) as topic:
        records = await topic.read(count)
    return AuditEvent.model_validate_json(records[-1].value).data


async def test_the_audit_event_says_what_changed_from_what_to_what(
    client: httpx.AsyncClient, kafka: KafkaSettings
) -> None:
    offer = await created(client, rules=[TWO_TOPUPS])
    await client.put(
        f"/api/offers/{offer['id']}", json=offer | {"discount_value": "12.5", "rules": [], "allowed_roles": ["vip"]}
    )
    assert (await audited(kafka, 2))["changes"] == {
        "discount_value": {"before": "10.00", "after": "12.50"},
        "rules": {"before": [TWO_TOPUPS | {"description": "", "enabled": True}], "after": []},
        "allowed_roles": {"before": [], "after": ["vip"]},
    }


async def test_a_hundred_thousand_users_make_an_event_that_kafka_takes(
    client: httpx.AsyncClient, kafka: KafkaSettings
) -> None:
    await created(client, allow_all=False, allowed_users=[str(uuid4()) for _ in range(100_000)])
    change = (await audited(kafka, 1))["changes"]["allowed_users"]
    assert (change["before"], change["after"], len(change["added"])) == (0, 100_000, 100)


async def test_a_refused_change_announces_nothing(client: httpx.AsyncClient, pool: Pool, kafka: KafkaSettings) -> None:
    offer = await created(client)
    url = f"/api/offers/{offer['id']}"
    assert (await client.post("/api/offers", json=DRAFT)).status_code == 409
    assert (await client.put(url, json=offer | {"version": 7})).status_code == 409
    assert (await client.post(f"{url}/pause")).status_code == 409
    await client.post(f"{url}/publish")
    async with reading(kafka, OFFERS_CHANGED) as topic:
        await topic.read(2)
        assert len(await topic.read_quiet()) == 2
    await until(pool, "SELECT count(*) FROM outbox", 0)


async def test_readiness_needs_kafka(pool: Pool, kafka: KafkaSettings, publisher: Publisher) -> None:
    relay = create_relay(pool, publisher)
    gone = kafka.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{free_port()}"})
    async with client_of(pool, create_api(pool, relay, kafka_probe(kafka), tokens_only(pool)), None) as anonymous:
        assert (await anonymous.get("/readyz")).json() == {"status": "ready"}
    async with client_of(pool, create_api(pool, relay, kafka_probe(gone), tokens_only(pool)), None) as anonymous:
        answer = await anonymous.get("/readyz")
        assert (answer.status_code, answer.json()["title"]) == (503, "Service Unavailable")


def configure(monkeypatch: pytest.MonkeyPatch, database_url: str, kafka: KafkaSettings, port: int) -> None:
    """Put the service's settings into the environment."""
    monkeypatch.setenv("OFFERS_DATABASE_URL", database_url)
    monkeypatch.setenv("OFFERS_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("OFFERS_HTTP_PORT", str(port))
    for name in ("bootstrap_servers", "topic_prefix", "idempotent_producer"):
        monkeypatch.setenv(f"OFFERS_KAFKA_{name.upper()}", str(getattr(kafka, f"kafka_{name}")))


@asynccontextmanager
async def running() -> AsyncIterator[None]:
    """The service; it must be ready within the wait, and stop within it once told to."""
    stop, ready = asyncio.Event(), asyncio.Event()
    service = asyncio.create_task(serve(stop, ready.set))
    started = asyncio.create_task(ready.wait())
    await asyncio.wait({service, started}, return_when=asyncio.FIRST_COMPLETED, timeout=WAIT_S)
    started.cancel()
    if service.done():
        await service
    assert ready.is_set()
    yield
    stop.set()
    await asyncio.wait_for(service, WAIT_S)


async def test_the_service_listens_once_ready_and_publishes_what_it_wrote_before_it_ends(
    monkeypatch: pytest.MonkeyPatch, database_url: str, pool: Pool, kafka: KafkaSettings
) -> None:
    port = free_port()
    configure(monkeypatch, database_url, kafka, port)
    async with pool.acquire() as connection:
        token = await create_token(connection, "tests", Role.editor)
    async with (
        running(),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {token}"}) as client,
    ):
        assert (await client.get("/readyz")).status_code == 200
        offer = await created(client)
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 0
    async with reading(kafka, OFFERS_CHANGED) as topic:
        (record,) = await topic.read(1)
    assert json.loads(record.value)["offer_id"] == offer["id"]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_port_in_use_stops_the_start_with_one_line(
    monkeypatch: pytest.MonkeyPatch, database_url: str, kafka: KafkaSettings
) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    configure(monkeypatch, database_url, kafka, port)
    async with taken:
        with pytest.raises(ConfigurationError, match=f"OFFERS_HTTP_PORT: 127.0.0.1:{port}"):
            await asyncio.wait_for(serve(asyncio.Event(), lambda: None), WAIT_S)
