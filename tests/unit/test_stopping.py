"""A service that is told to stop ends in bounded time, whatever its groups are at."""

import asyncio

import pytest
from faststream.kafka import KafkaBroker

from shared import subscriptions
from shared.settings import KafkaSettings


async def test_a_group_that_does_not_let_go_is_left_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_to_leave = asyncio.Event()

    async def never(*_: object) -> None:
        asked_to_leave.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(KafkaBroker, "stop", never)
    monkeypatch.setattr(subscriptions, "LEAVE_S_MAX", 0.01)
    broker = subscriptions.Subscriptions(KafkaSettings(kafka_bootstrap_servers="localhost:1"), "test")
    await broker.stop()
    assert asked_to_leave.is_set()
