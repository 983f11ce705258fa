"""On Apache Kafka with TLS, logins and the access list: each login does its whole job, and nothing else."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import httpx
import orjson
import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)

from deploy.dead_letters.replaying import list_dead_letters, replay_dead_letters
from deploy.embedded.errors import ServerError
from deploy.kafka.acls import LOGINS, Entry, Operation, Pattern, Resource, entries
from deploy.kafka.applying import add_entries
from services.segmenter.app import SegmenterSettings, create_segmenter, wire
from shared.broker import Outgoing, Publisher, client_options
from shared.client import EventPublisher, RedemptionClient
from shared.client.redemption import request_message
from shared.database import Pool
from shared.errors import ConfigurationError, DeliveryError
from shared.events.redemption_requests import RedeemRequest
from shared.http.probes import Health, kafka_probe
from shared.reaching import KafkaAway, reach_kafka
from shared.security import Role, create_token
from shared.topics import ALL, AUDIT_EVENTS, CONSUMED, REDEMPTION_REPLIES, create_topics
from tests.support.admin import DRAFT
from tests.support.certificates import Authority
from tests.support.metrics import address, until_true
from tests.support.secured_kafka import ROOT, SecuredKafka, first_message, publish
from tests.support.services import UNUSED_URL
from tests.support.topics import reading
from tests.support.upstream import registration, topup
from tests.support.waiting import until
from tests.support.worker_processes import WorkerProcess, worker_processes

pytestmark = [
    pytest.mark.apache,
    pytest.mark.skipif(os.environ.get("KAFKA") != "apache", reason="runs with KAFKA=apache"),
]

SERVICES = ("redemption", "segmenter", "audit", "admin")
NONSENSE = b"{not json"
WHO_WRITES = {
    "topups": "upstream",
    "users": "upstream",
    "redemption.requests": "checkout",
    "offers.changed": "admin",
    "audit.events": "admin",
}


@pytest.fixture(scope="module")
def authority(servers_dir: Path) -> Authority:
    return Authority(servers_dir / "kafka-ca")


@pytest.fixture(scope="module")
async def secured(servers_dir: Path, authority: Authority) -> AsyncIterator[SecuredKafka]:
    """The broker, with its access list, and with topics that the operator made."""
    passwords = {ROOT: "root-secret"} | {login.name: f"{login.name}-secret" for login in LOGINS}
    server = SecuredKafka(authority, passwords)
    await server.start(servers_dir)
    try:
        await add_entries(server.settings(ROOT), entries())
        assert len(await create_topics(server.settings("operator"))) == len(ALL)
        yield server
    finally:
        await server.stop()


@pytest.fixture(scope="module")
def folder(servers_dir: Path) -> Path:
    path = servers_dir / "workers"
    path.mkdir()
    return path


@pytest.fixture(scope="module")
async def workers(
    secured: SecuredKafka, shared_database_url: str, redis_url: str, folder: Path
) -> AsyncIterator[dict[str, WorkerProcess]]:
    """Every service as a process, each with its own login."""
    async with AsyncExitStack() as stack:

        async def start(service: str) -> WorkerProcess:
            own = {"OFFERS_KAFKA_SASL_PASSWORD": f"{service}-secret", "OFFERS_REDIS_URL": redis_url}
            kafka = secured.settings(service)
            processes = worker_processes(service, shared_database_url, kafka, folder, **own)
            return await (await stack.enter_async_context(processes)).start(service)

        yield dict(zip(SERVICES, await asyncio.gather(*map(start, SERVICES)), strict=True))


async def test_every_login_does_its_whole_job(
    secured: SecuredKafka, workers: dict[str, WorkerProcess], unchanged: Pool, folder: Path
) -> None:
    pool, user = unchanged, uuid4()
    async with pool.acquire() as connection:
        token = await create_token(connection, "editor", Role.editor)
    rule = {"rule_key": "one-topup", "rule_type": "min_topups", "params": {"count": 1}}
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=address(folder, "admin"), headers=headers, timeout=20) as editor:
        assert (await editor.get("/readyz")).json() == {"status": "ready"}
        drafted = await editor.post("/api/offers", json=DRAFT | {"rules": [rule], "allow_all": True})
        assert drafted.status_code == 201, drafted.text
        offer = drafted.json()["id"]
        assert (await editor.post(f"/api/offers/{offer}/publish")).status_code == 200
    async with EventPublisher(secured.settings("upstream")) as events:
        await events.user(registration(user))
        await events.topup(topup(user))
    await until(pool, "SELECT count(*) FROM offer_segment_members WHERE user_id = $1", 1, user)
    async with RedemptionClient(secured.settings("checkout")) as checkout:
        reply = await checkout.redeem(user, Decimal("100.00"), code="SPRING10", timeout_s=30)
        assert (reply.status, reply.price_paid) == ("accepted", Decimal("90.00"))
    kinds = "SELECT string_agg(type, ' ' ORDER BY type) FROM audit_log WHERE offer_id = $1"
    await until(pool, kinds, "offer.created offer.published redemption.accepted segment.rebuilt", offer)
    entered = orjson.loads(await first_message(secured.settings("marketing"), "segments.changed", "marketing.mails"))
    assert (entered["type"], entered["user_id"]) == ("segment.entered", str(user))
    heard = orjson.loads(await first_message(secured.settings("auditor"), AUDIT_EVENTS, "auditor.2026"))
    assert heard["type"] in ("offer.created", "offer.published", "redemption.accepted", "segment.rebuilt")

    operator = secured.settings("operator")
    for topic, login in WHO_WRITES.items():
        await publish(secured.settings(login), Outgoing(topic, b"key", NONSENSE))
    expected = dict.fromkeys(CONSUMED, 1) | {"offers.changed": 2}  # Two services read it.

    async def buried() -> bool:
        return {topic: (await list_dead_letters(operator, topic)).total for topic in CONSUMED} == expected

    await until_true(buried, "each service has written its dead letters")
    assert await replay_dead_letters(operator, "topups") == 1
    await until_true(buried, "it has died again")


async def test_a_request_cannot_have_its_reply_written_where_its_checkout_may_not(
    secured: SecuredKafka, workers: dict[str, WorkerProcess]
) -> None:
    for topic in (AUDIT_EVENTS, "redemption.requests"):
        request = RedeemRequest(request_id=uuid4(), user_id=uuid4(), offer_id=uuid4(), unit_price=Decimal("1.00"))
        correlation_id = uuid4().hex.encode()
        await publish(secured.settings("checkout"), request_message(request, correlation_id, topic, 0))
        async with reading(secured.settings("checkout"), REDEMPTION_REPLIES) as replies:

            async def answered(replies: object = replies, wanted: bytes = correlation_id) -> bool:
                found = await replies.read_quiet(0.1)  # type: ignore[attr-defined]
                return any(dict(record.headers).get("correlation_id") == wanted for record in found)

            await until_true(answered, f"the reply meant for {topic} is where replies are")
    assert [await worker.stop() for worker in workers.values()] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("login", "topic"),
    [
        ("checkout", "audit.events"),
        ("checkout", "redemption.replies"),
        ("checkout", "topups"),
        ("upstream", "redemption.requests"),
        ("audit", "audit.events"),
        ("segmenter", "offers.changed"),
        ("redemption", "segments.changed"),
        ("operator", "redemption.replies"),
    ],
)
async def test_what_a_login_may_not_write(secured: SecuredKafka, login: str, topic: str) -> None:
    with pytest.raises(DeliveryError, match="TopicAuthorizationFailed"):
        await publish(secured.settings(login), Outgoing(topic, b"key", b"{}"))


async def test_who_only_reads_has_no_producer(secured: SecuredKafka) -> None:
    with pytest.raises(ClusterAuthorizationFailedError):
        await publish(secured.settings("marketing"), Outgoing("segments.changed", b"key", b"{}"))


@pytest.mark.parametrize(
    ("login", "topic", "group", "refusal"),
    [
        ("checkout", "redemption.replies", "offers.redemption.redemption.requests", GroupAuthorizationFailedError),
        ("redemption", "redemption.requests", "offers.segmenter.topups", GroupAuthorizationFailedError),
        ("auditor", "audit.events", "offers.audit.audit.events", GroupAuthorizationFailedError),
        ("auditor", "audit.events", "marketing.mails", GroupAuthorizationFailedError),
        ("checkout", "audit.events", None, TopicAuthorizationFailedError),
        ("checkout", "redemption.requests", None, TopicAuthorizationFailedError),
        ("marketing", "audit.events", "marketing.mails", TopicAuthorizationFailedError),
    ],
)
async def test_what_a_login_may_not_read(
    secured: SecuredKafka, login: str, topic: str, group: str | None, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        await first_message(secured.settings(login), topic, group)


async def test_a_service_whose_topics_are_closed_to_it_is_not_ready(secured: SecuredKafka, pool: Pool) -> None:
    groups = Entry("User:upstream", Operation.Read, Resource.group, "offers.segmenter.", Pattern.prefixed)
    sight = Entry("User:upstream", Operation.Describe, Resource.topic, "offers.changed")
    await add_entries(secured.settings(ROOT), [groups, sight])
    kafka = secured.settings("upstream")
    publisher = Publisher(kafka, "test")
    await publisher.start()
    handler = create_segmenter(pool, publisher).handler
    segmenter = wire(
        SegmenterSettings.model_validate(kafka.model_dump() | {"database_url": UNUSED_URL}), handler, publisher
    )
    health = Health(pool, kafka_probe(kafka), segmenter)

    async def told() -> bool:
        return await health.missing() == ["Kafka doesn't permit reading topups, users, offers.changed"]

    try:
        await segmenter.start()
        await until_true(told, "readiness says what may not be read")
    finally:
        await segmenter.stop()
        await publisher.stop()


async def test_only_an_operator_creates_topics_and_not_any(secured: SecuredKafka) -> None:
    with pytest.raises(DeliveryError, match="TopicAuthorizationFailed"):
        await create_topics(secured.settings("checkout"), ["redemption.replies.shop"])
    with pytest.raises(DeliveryError, match="TopicAuthorizationFailed"):
        await create_topics(secured.settings("operator"), ["something.else"])


async def test_only_who_may_alter_the_cluster_changes_the_access_list(secured: SecuredKafka) -> None:
    with pytest.raises(DeliveryError, match="for User:redemption: "):
        await add_entries(secured.settings("operator"), entries()[:1])


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
async def test_every_mechanism_logs_in_with_the_right_password_only(secured: SecuredKafka, mechanism: str) -> None:
    right = secured.settings(ROOT, kafka_sasl_mechanism=mechanism)
    await reach_kafka(client_options(right))
    wrong = secured.settings(ROOT, kafka_sasl_mechanism=mechanism, kafka_sasl_password="wrong")
    with pytest.raises(KafkaAway, match=r"^OFFERS_KAFKA_SASL_USERNAME, OFFERS_KAFKA_SASL_PASSWORD: .* root: "):
        await Publisher(wrong, "test").start()


async def test_a_server_that_cannot_prove_who_it_is_gets_no_password(secured: SecuredKafka, tmp_path: Path) -> None:
    other = str(Authority(tmp_path / "other").ca)
    with pytest.raises(KafkaAway, match=r"^OFFERS_KAFKA_SSL_CAFILE: .* is not trusted: [^\n]*$"):
        await Publisher(secured.settings(ROOT, kafka_ssl_cafile=other), "test").start()
    elsewhere = secured.settings(ROOT, kafka_bootstrap_servers=f"localhost:{secured.port}")
    with pytest.raises(KafkaAway, match=r"^OFFERS_KAFKA_BOOTSTRAP_SERVERS: localhost.* another name: [^\n]*$"):
        await create_topics(elsewhere)
    missing = secured.settings(ROOT, kafka_ssl_cafile=str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match=r"^OFFERS_KAFKA_SSL_CAFILE: .*none\.pem: No such file"):
        Publisher(missing, "test")


async def test_a_client_certificate_is_a_login_and_one_that_expires_shows_in_readiness_until_it_is_renewed(
    secured: SecuredKafka, authority: Authority
) -> None:
    mine = authority.issue("upstream")
    kafka = secured.settings_by_certificate(mine.certificate, mine.key)
    probe = kafka_probe(kafka)
    await probe()
    await publish(kafka, Outgoing("users", b"key", NONSENSE))
    with pytest.raises(DeliveryError, match="TopicAuthorizationFailed"):
        await publish(kafka, Outgoing(AUDIT_EVENTS, b"key", b"{}"))
    authority.issue("upstream", expired=True).put_at(mine)
    with pytest.raises(KafkaAway, match=r"^OFFERS_KAFKA_SSL_CERTFILE: .* refuses our certificate"):
        await probe()
    authority.issue("upstream", "renewed").put_at(mine)
    await probe()


@pytest.mark.parametrize(
    ("login", "password", "line"),
    [
        ("segmenter", "wrong", "error: OFFERS_KAFKA_SASL_USERNAME, OFFERS_KAFKA_SASL_PASSWORD: "),
        ("audit", "audit-secret", "error: OFFERS_KAFKA_SASL_USERNAME: "),
    ],
)
async def test_a_service_that_is_not_let_in_ends_with_one_line(
    secured: SecuredKafka, database_url: str, tmp_path: Path, login: str, password: str, line: str
) -> None:
    kafka = secured.settings(login)
    own = {"OFFERS_KAFKA_SASL_PASSWORD": password}
    async with worker_processes("segmenter", database_url, kafka, tmp_path, **own) as processes:
        with pytest.raises(ServerError, match=f"exited with code 2: .*{line}"):
            await processes.start("refused")
