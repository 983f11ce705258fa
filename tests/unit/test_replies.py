"""Replies and audit events are written without the models that are their contract; the bytes must be the models'."""

from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid5

import pytest

from services.redemption.decision import Standing, Uses
from services.redemption.inputs import purchase_inputs
from services.redemption.records import Reply
from services.redemption.replies import audit_message, reply_json, stored_decision
from services.redemption.requests import Asked
from shared.events.audit_events import AuditEvent
from shared.events.redemption_replies import QuotedOffer, RedemptionReply, RuleResult
from shared.named_ids import named_id

NOW = datetime(2026, 11, 24, 12, 0, 0, 120, tzinfo=UTC)
ID, OTHER = UUID(int=5), UUID("6f1d6a52-5b0c-4c1e-9a55-0f6c5c1f7a01")
RULE = RuleResult(
    rule_key="spent", rule_type="min_spent", passed=False, required="50.00", actual="1.00", valid_until=None
)
QUOTED = QuotedOffer(
    offer_id=ID, code="TEN", title="Zehn € “ab”", discount_amount=Decimal(1), price_paid=Decimal("0.5")
)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(ID, "revoke", "rejected", NOW.replace(microsecond=0), reason="redemption_not_found"),
        Reply(ID, "redeem", "accepted", NOW, None, OTHER, ID, OTHER, Decimal("10"), Decimal("1.5"), Decimal("8.50")),
        Reply(ID, "redeem", "rejected", NOW, "not_eligible", OTHER, ID, explanation=(RULE, RULE)),
        Reply(ID, "quote", "accepted", NOW, user_id=ID, price=Decimal(0), explanation=(), offers=[QUOTED]),
        Reply(ID, "redeem", "rejected", NOW, "invalid_request", message='unit_price: "é\n\u2028\x7f" is none'),
    ],
)
def test_a_reply_is_written_as_its_model_writes_it(reply: Reply) -> None:
    parts = {name: getattr(reply, name) for name in asdict(reply)}
    assert reply_json(reply).decode() == RedemptionReply(**parts).model_dump_json()


@pytest.mark.parametrize(
    ("reply", "kind", "entity_type", "entity_id"),
    [
        (Reply(ID, "redeem", "accepted", NOW, redemption_id=OTHER), "redemption.accepted", "redemption", OTHER),
        (Reply(ID, "revoke", "accepted", NOW, redemption_id=OTHER), "redemption.revoked", "redemption", OTHER),
        (
            Reply(ID, "revoke", "rejected", NOW, "already_revoked", redemption_id=OTHER),
            "redemption.rejected",
            "request",
            ID,
        ),
        (Reply(ID, "redeem", "rejected", NOW, "offer_ended", OTHER, OTHER), "redemption.rejected", "request", ID),
    ],
)
def test_a_decisions_audit_event_is_readable_and_named_by_what_was_asked(
    reply: Reply, kind: str, entity_type: str, entity_id: UUID
) -> None:
    stored = stored_decision(ID, Asked(b'{"reason":"changed mind"}', b"\x01\xff"), reply)
    key, value = audit_message(stored)
    event = AuditEvent.model_validate_json(value)
    assert key == entity_id
    assert (event.type, event.entity_type, event.entity_id) == (kind, entity_type, entity_id)
    assert (event.offer_id, event.user_id, event.occurred_at) == (reply.offer_id, reply.user_id, NOW)
    assert event.event_id == uuid5(UUID("0d8f3c6e-7a3b-4d57-8a0f-2b9d4e6c1a02"), f"{ID}:01ff")
    assert event.data["request"] == {"reason": "changed mind"}
    assert event.data["reply"] == RedemptionReply.model_validate_json(stored.reply).model_dump(mode="json")


def test_a_decisions_audit_event_tells_what_it_rested_on_where_that_is_kept() -> None:
    reply = Reply(ID, "redeem", "rejected", NOW, "offer_ended", OTHER, OTHER)
    inputs = purchase_inputs(3, Standing(allowed=True, eligible=False), Uses(total=7, by_user=2))
    _, value = audit_message(stored_decision(ID, Asked(b"{}", b""), reply, inputs))
    assert AuditEvent.model_validate_json(value).data["inputs"] == {
        "offer": {"definition_version": 3, "allowed": True, "eligible": False, "uses": 2, "usage_count": 7}
    }
    _, value = audit_message(stored_decision(ID, Asked(b"{}", b""), reply))
    assert "inputs" not in AuditEvent.model_validate_json(value).data


def test_named_ids_are_version_5_uuids() -> None:
    assert named_id(OTHER, "a name") == uuid5(OTHER, "a name")
