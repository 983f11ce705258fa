"""Recounts from the topics and the tables what redemption did: whether all was answered, once, and exactly."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from deploy.verification import verify_settled
from shared.broker import Publisher
from shared.database import Pool
from shared.settings import KafkaSettings
from shared.topics import AUDIT_EVENTS, REDEMPTION_REPLIES, REDEMPTION_REQUESTS, dead_letter_topic
from tests.support.audit import audit_worker
from tests.support.doomed_service import BATCH_MIN
from tests.support.traffic import read_all

Reply = dict[str, Any]

REMEMBERED = {"redeem", "revoke"}
"""Commands whose decisions are kept; a quote is answered anew each time."""

SKIPPED_MAX = 0 if os.environ.get("KAFKA") == "apache" else BATCH_MIN - 1
"""Tansu's consumers now and then pass over a message while several producers append at once; Apache Kafka's never do.

A batch that a worker lost would be more than that.
"""


class Recount:
    """What became of the requests of a test. Checks raise AssertionError."""

    def __init__(self, pool: Pool, kafka: KafkaSettings, sent: Mapping[str, int], values: Mapping[str, bytes]) -> None:
        self._pool = pool
        self._kafka = kafka
        self._sent = sent
        self._values = values
        self.replies = {request_id: orjson.loads(value) for request_id, value in values.items()}

    @classmethod
    async def take(cls, pool: Pool, kafka: KafkaSettings, sent: Mapping[str, int], skipped_max: int) -> "Recount":
        """Read the replies: one at least for each time a request was sent, and all to one request alike.

        So many messages may have been skipped by the broker, if their requests were answered when sent again.
        """
        values: dict[str, bytes] = {}
        times: Counter[str] = Counter()
        for record in await read_all(kafka, REDEMPTION_REPLIES):
            value = record.value or b""
            reply = orjson.loads(value)
            times[reply["request_id"]] += 1
            known = values.setdefault(reply["request_id"], value)
            assert known == value or reply["command"] == "quote", f"two answers: {known!r}, {value!r}"
        short = Counter(sent) - times
        assert short.total() <= skipped_max, f"requests with so many answers too few: {short}"
        assert times.keys() == sent.keys(), "answers to nobody"
        return cls(pool, kafka, sent, values)

    async def check(self, publisher: Publisher) -> None:
        """Hold decisions, audit events, dead letters and invariants against the replies."""
        await self.check_decisions()
        await self.check_audit_events()
        await self.check_dead_letters()
        await self.check_invariants(publisher)

    async def check_decisions(self) -> None:
        """Every request but quotes has one stored decision, which is its reply."""
        rows = await self._pool.fetch("SELECT request_id::text, reply FROM redemption_decisions")
        stored = {row["request_id"]: row["reply"].encode() for row in rows}
        assert len(rows) == len(stored)
        assert stored == {request_id: self._values[request_id] for request_id in self._remembered()}

    async def check_audit_events(self) -> None:
        """Every decision is told under one event id of its own, and in the same words each time."""
        told: dict[str, dict[str, Any]] = {}
        events: defaultdict[str, set[str]] = defaultdict(set)
        for record in await read_all(self._kafka, AUDIT_EVENTS):
            event = orjson.loads(record.value or b"")
            assert told.setdefault(event["event_id"], event) == event
            events[event["data"]["reply"]["request_id"]].add(event["event_id"])
        assert events.keys() == self._remembered()
        assert [request_id for request_id, ids in events.items() if len(ids) != 1] == []
        assert len(told) == len(events)

    async def check_dead_letters(self) -> None:
        """Nothing but invalid requests ended as dead letters, and each of those did."""
        letters = await read_all(self._kafka, dead_letter_topic(REDEMPTION_REQUESTS))
        invalid = {request_id for request_id, reply in self.replies.items() if reply["reason"] == "invalid_request"}
        assert {orjson.loads(letter.value or b"")["request_id"] for letter in letters} == invalid

    async def check_invariants(self, publisher: Publisher) -> None:
        """`offers verify` finds nothing once the audit service has read everything."""
        async with audit_worker(self._pool, self._kafka, publisher), self._pool.acquire() as connection:
            checks = await verify_settled(connection, wait_s=40)
        assert [breach for check in checks for breach in check.breaches] == []

    def accepted(self, offer: UUID, command: str = "redeem") -> list[Reply]:
        """Accepted replies of an offer."""
        return [reply for reply in self._of(offer) if (reply["command"], reply["status"]) == (command, "accepted")]

    def refusals(self, offer: UUID) -> Counter[str]:
        """How many redeems of an offer were rejected, by reason."""
        return Counter(r["reason"] for r in self._of(offer) if r["command"] == "redeem" and r["status"] == "rejected")

    async def usage(self, offer: UUID) -> int:
        """The offer's count, which must be that of its redemptions not revoked."""
        count: int = await self._pool.fetchval("SELECT usage_count FROM offers WHERE id = $1", offer)
        standing = "SELECT count(*) FROM offer_redemptions WHERE offer_id = $1 AND revoked_at IS NULL"
        assert await self._pool.fetchval(standing, offer) == count
        return count

    def check_history(self, offer: UUID, limit: int) -> None:
        """At no instant were more uses standing than the limit, nor one refused while fewer were.

        Decisions of one instant are those of one batch, whose order the replies don't tell: a refusal is
        allowed where the batch's accepted redeems could have come first.
        """
        instants: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
        for reply in self._of(offer):
            if reply["status"] == "accepted" or reply["reason"] == "offer_exhausted":
                instants[datetime.fromisoformat(reply["decided_at"])][f"{reply['command']} {reply['status']}"] += 1
        standing = 0
        for decided_at in sorted(instants):
            batch = instants[decided_at]
            most = standing + batch["redeem accepted"]
            standing = most - batch["revoke accepted"]
            assert standing <= limit, f"{standing} uses at {decided_at}"
            assert not batch["redeem rejected"] or most >= limit, f"refused at {decided_at} with {most} uses"

    def _of(self, offer: UUID) -> list[Reply]:
        return [reply for reply in self.replies.values() if reply["offer_id"] == str(offer)]

    def _remembered(self) -> set[str]:
        return {request_id for request_id, reply in self.replies.items() if reply["command"] in REMEMBERED}
