"""One trace from a checkout's request to its audit row, over real Kafka; and no span of what nobody traces."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.broker import Outgoing, Publisher
from shared.client import RedemptionClient
from shared.database import Pool
from shared.settings import KafkaSettings
from shared.topics import AUDIT_EVENTS, REDEMPTION_REPLIES, REDEMPTION_REQUESTS
from tests.support.audit import audit_worker, until_stored
from tests.support.campaign import add_offer
from tests.support.collector import collecting
from tests.support.metrics import address, scrape, until_true
from tests.support.requests import message, redeem
from tests.support.services import redemption_workers
from tests.support.topics import reading
from tests.support.worker_processes import worker_processes

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE_ID}-b7ad6b7169203331-01".encode()
NOT_SAMPLED = f"00-{TRACE_ID}-b7ad6b7169203331-00".encode()


@pytest.fixture(scope="module")
def provider() -> TracerProvider:
    """The process's tracer provider, which can be set only once."""
    provider = TracerProvider(shutdown_on_exit=False)
    trace.set_tracer_provider(provider)
    return provider


@pytest.fixture
def exporter(provider: TracerProvider) -> Iterator[InMemorySpanExporter]:
    """Keeps the spans that end during the test."""
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


def header(record: object, name: str) -> str | None:
    return next((value.decode() for key, value in record.headers if key == name), None)  # type: ignore[attr-defined]


async def test_a_checkouts_trace_goes_through_decision_and_reply_to_the_audit_row(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher, exporter: InMemorySpanExporter
) -> None:
    offer, request_id = await add_offer(pool), uuid4()
    async with (
        redemption_workers(pool, kafka, publisher),
        audit_worker(pool, kafka, publisher),
        RedemptionClient(kafka) as client,
        reading(kafka, REDEMPTION_REPLIES) as replies,
    ):
        with trace.get_tracer("checkout").start_as_current_span("pay") as paying:
            await client.redeem(uuid4(), Decimal("10.00"), offer_id=offer, request_id=request_id)
        await client.redeem(uuid4(), Decimal("10.00"), offer_id=offer)
        await until_stored(pool, 2)
        (first, second) = await replies.read(2)
    trace_id = paying.get_span_context().trace_id
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"pay", "redemption.requests redemption", "audit.events audit"}
    assert {span.context.trace_id for span in spans.values() if span.context} == {trace_id}
    decided, stored = spans["redemption.requests redemption"], spans["audit.events audit"]
    assert decided.context is not None
    assert decided.parent is not None
    assert decided.parent.span_id == paying.get_span_context().span_id
    assert stored.parent is not None
    assert stored.parent.span_id == decided.context.span_id
    assert decided.attributes == {"offers.request_id": str(request_id)}
    event_id = await pool.fetchval(
        "SELECT event_id FROM audit_log WHERE data->'request'->>'request_id' = $1", str(request_id)
    )
    assert stored.attributes == {"offers.event_id": str(event_id)}
    # Sampled, and with a trace id that is random.
    assert header(first, "traceparent") == f"00-{trace_id:032x}-{decided.context.span_id:016x}-03"
    assert header(second, "traceparent") is None


@pytest.mark.parametrize("traceparent", [NOT_SAMPLED, b"", b"\xff", b"00-0-0-01", b"nonsense"])
async def test_what_is_not_sampled_or_no_trace_context_gets_no_span_and_its_answer_all_the_same(
    traceparent: bytes, pool: Pool, kafka: KafkaSettings, publisher: Publisher, exporter: InMemorySpanExporter
) -> None:
    plain = message(redeem(await add_offer(pool), uuid4()))
    traced = Outgoing(plain.topic, plain.key, plain.value, [*plain.headers, ("traceparent", traceparent)])
    async with (
        redemption_workers(pool, kafka, publisher),
        reading(kafka, REDEMPTION_REPLIES) as replies,
        reading(kafka, AUDIT_EVENTS) as events,
    ):
        await publisher.publish_all([traced])
        (reply,) = await replies.read(1)
        (event,) = await events.read(1)
    assert orjson.loads(reply.value)["status"] == "accepted"
    assert (header(reply, "traceparent"), header(event, "traceparent")) == (None, None)
    assert exporter.get_finished_spans() == ()


async def test_processes_export_to_the_collector_that_settings_name(
    database_url: str, pool: Pool, kafka: KafkaSettings, publisher: Publisher, redis_url: str, tmp_path: Path
) -> None:
    plain = message(redeem(await add_offer(pool), uuid4()))
    request = Outgoing(plain.topic, plain.key, plain.value, [("traceparent", SAMPLED)])
    with collecting() as collector:
        own = {"OFFERS_REDIS_URL": redis_url, "OFFERS_OTLP_ENDPOINT": collector.url}
        async with (
            worker_processes("redemption", database_url, kafka, tmp_path, **own) as deciding,
            worker_processes("audit", database_url, kafka, tmp_path, **own) as auditing,
        ):
            decider, auditor = await asyncio.gather(deciding.start("decider"), auditing.start("auditor"))
            await publisher.publish_all([request])
            await until_stored(pool, 1)
            assert [await decider.stop(), await auditor.stop()] == [0, 0]
    assert sorted(collector.spans[TRACE_ID]) == [
        ("offers-audit", "audit.events audit"),
        ("offers-redemption", "redemption.requests redemption"),
    ]
    assert list(collector.spans) == [TRACE_ID], "what nobody traces was exported"


async def test_faststreams_own_metrics_and_spans_where_switched_on(
    database_url: str, pool: Pool, kafka: KafkaSettings, publisher: Publisher, redis_url: str, tmp_path: Path
) -> None:
    switched_on = {"OFFERS_FASTSTREAM_METRICS": "true", "OFFERS_FASTSTREAM_TRACES": "true"}
    with collecting() as collector:
        own = {"OFFERS_REDIS_URL": redis_url, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} | switched_on
        async with worker_processes("redemption", database_url, kafka, tmp_path, **own) as workers:
            worker = await workers.start("first")
            nothing = Outgoing(REDEMPTION_REQUESTS, b"key", None)
            await publisher.publish_all([nothing, message(redeem(await add_offer(pool), uuid4()))])

            async def both_received() -> bool:
                return (await scrape(address(tmp_path, "first"))).value("faststream_received_messages_total") == 2

            await until_true(both_received, "FastStream counts the message without a value too")
            assert await worker.stop() == 0
    names = {name for spans in collector.spans.values() for _, name in spans}
    assert f"{kafka.kafka_topic_prefix}redemption.requests process" in names


async def test_no_collector_is_no_hindrance(
    database_url: str, pool: Pool, kafka: KafkaSettings, publisher: Publisher, redis_url: str, tmp_path: Path
) -> None:
    plain = message(redeem(await add_offer(pool), uuid4()))
    request = Outgoing(plain.topic, plain.key, plain.value, [("traceparent", SAMPLED)])
    own = {"OFFERS_REDIS_URL": redis_url, "OFFERS_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    async with (
        worker_processes("redemption", database_url, kafka, tmp_path, **own) as workers,
        reading(kafka, REDEMPTION_REPLIES) as replies,
    ):
        worker = await workers.start("first")
        await publisher.publish_all([request])
        (reply,) = await replies.read(1)
        assert orjson.loads(reply.value)["status"] == "accepted"
        assert await worker.stop() == 0
