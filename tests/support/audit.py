"""Audit events, batches of them, and the audit service inside the test's process."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from aiokafka import ConsumerRecord

from services.audit.app import AuditSettings, wire
from services.audit.chain import BrokenLink
from services.audit.verification import verify_chains
from shared.batches import Received
from shared.broker import Outgoing, Publisher
from shared.database import Pool
from shared.events.audit_events import AuditEvent
from shared.settings import KafkaSettings
from shared.topics import AUDIT_EVENTS
from tests.support.services import UNUSED_URL
from tests.support.waiting import until

NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)

TRIGGERS_OFF: Final = "SET session_replication_role = replica; "


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
    """The event as a message, keyed by its entity."""
    return Outgoing(AUDIT_EVENTS, str(audited.entity_id).encode(), audited.to_bytes())


def received(events: Sequence[AuditEvent], partition: int = 0) -> list[Received[AuditEvent]]:
    """The events as a batch of one partition."""
    return [
        Received(each, ConsumerRecord(AUDIT_EVENTS, partition, place, 0, 0, None, b"", None, 0, 0, ()))
        for place, each in enumerate(events)
    ]


async def broken_links(pool: Pool) -> list[BrokenLink]:
    """What verifying every chain finds."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        return (await verify_chains(connection)).broken


async def tamper(pool: Pool, script: str) -> None:
    """Run SQL as a superuser does who switched off, for this session, the triggers that refuse it."""
    await pool.execute(TRIGGERS_OFF + script)


async def until_stored(pool: Pool, count: int) -> None:
    """Wait until the log has so many rows."""
    await until(pool, "SELECT count(*) FROM audit_log", count)


@asynccontextmanager
async def audit_worker(pool: Pool, kafka: KafkaSettings, publisher: Publisher) -> AsyncIterator[None]:
    """One worker taking audit events in."""
    only_kafka = kafka.model_dump(include=set(KafkaSettings.model_fields))
    broker = wire(AuditSettings(database_url=UNUSED_URL, **only_kafka), pool, publisher)
    await broker.start()
    try:
        yield
    finally:
        await broker.stop()
