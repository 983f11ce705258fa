"""What became of offers, users and requests, in words: runs history.sql, and reads the audit log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from services.admin.audit_wording import Entry, entry_of
from services.admin.history_models import RequestDecision
from services.admin.judging import operator_names
from shared.audit_log.reading import find_page
from shared.audit_log.records import Cursor, Filters
from shared.audit_log.routes import entities_of_request
from shared.audit_log.views import write_cursor
from shared.database import Pool
from shared.named_ids import redemption_id_of
from shared.sqlfile import load_queries

_queries = load_queries(__file__, "history.sql")


@dataclass(frozen=True, slots=True)
class OfferName:
    """What an offer is called."""

    code: str
    title: str


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries, newest first; the names of their offers; the cursor of the page after, if there is one."""

    entries: list[Entry]
    offers: dict[UUID, OfferName]
    next: str | None


async def load_entries(pool: Pool, filters: Filters, after: Cursor | None, limit: int) -> EntryPage:
    """At most `limit` entries that pass the filters, newest first, from below the cursor."""
    async with pool.acquire() as connection:
        events = await find_page(connection, filters, after, limit + 1)
    shown = events[:limit]
    operators = await operator_names(pool)
    offers = await offer_names(pool, {event.offer_id for event in shown if event.offer_id})
    following = write_cursor(shown[-1]) if len(events) > limit else None
    return EntryPage([entry_of(event, operators) for event in shown], offers, following)


async def offer_names(pool: Pool, ids: Iterable[UUID]) -> dict[UUID, OfferName]:
    """What offers are called; those that are no more are left out."""
    rows = await pool.fetch(_queries.offer_names, list(ids))
    return {row["id"]: OfferName(row["code"], row["title"]) for row in rows}


async def find_offer_id(pool: Pool, code: str) -> UUID | None:
    """The offer that has a code."""
    found: UUID | None = await pool.fetchval(_queries.find_offer_id, code)
    return found


async def find_decision(pool: Pool, request_id: UUID) -> RequestDecision | None:
    """What was decided on a request and what it rested on; None if nothing is known of it.

    As the redemption service keeps it, or where that is kept no longer, as the audit log tells it.
    """
    row = await pool.fetchrow(_queries.load_decision, request_id)
    if row is not None:
        reply, inputs = orjson.loads(row["reply"]), orjson.loads(row["inputs"] or "null")
        return await _with_offer(pool, request_id, row["request"], reply, inputs)
    events = await pool.fetch(_queries.find_decision_events, request_id, redemption_id_of(request_id))
    for event in events:
        data = event["data"]
        if data["reply"].get("reason") != "idempotency_conflict":
            return await _with_offer(pool, request_id, data["request"], data["reply"], data.get("inputs"))
    return None


async def entities_of(pool: Pool, request_id: UUID) -> tuple[UUID, ...]:
    """The entities a request is about: itself, the redemption it made, and the one it was to revoke."""
    revoked = await pool.fetchval(_queries.revoked_redemption, request_id)
    return (*await entities_of_request(request_id), *([revoked] if revoked else []))


async def _with_offer(
    pool: Pool,
    request_id: UUID,
    request: Mapping[str, Any],
    reply: Mapping[str, Any],
    inputs: Mapping[str, Any] | None,
) -> RequestDecision:
    offer_id, judged = reply.get("offer_id"), (inputs or {}).get("offer")
    definition = None
    if offer_id and judged:
        definition = await pool.fetchval(_queries.load_definition, offer_id, judged["definition_version"])
    return RequestDecision.model_validate(
        {"request_id": request_id, "request": request, "reply": reply, "inputs": inputs, "offer": definition}
    )
