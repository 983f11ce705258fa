"""Audit entries as people read them: who did what, what changed, why a request was decided as it was. Pure.

The data of an event is whatever its service wrote, now or years ago: what is not of the form known here is left to the
raw JSON, and nothing here raises.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from services.admin.offer_changes import Change, changes_of
from services.admin.phrases import counted, humanised, listed, moment_text, money_text, plain_text
from services.admin.wording import (
    Operators,
    discount_text,
    limits_text,
    measure_text,
    reason_text,
    sentence_of_terms,
    window_text,
)
from shared.audit_log.records import FoundEvent
from shared.audit_log.views import event_json
from shared.events.fields import rfc3339

_TITLES: Final[Mapping[str, str]] = {
    "redemption.accepted": "Redemption accepted",
    "redemption.rejected": "Redemption rejected",
    "redemption.revoked": "Redemption revoked",
    "offer.created": "Offer created",
    "offer.updated": "Offer changed",
    "offer.published": "Offer published",
    "offer.paused": "Offer paused",
    "offer.archived": "Offer archived",
    "segment.rebuilt": "Members recomputed",
    "token.created": "API token made",
    "token.revoked": "API token revoked",
    "admin.created": "Person added",
    "admin.updated": "Person changed",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """Something an entry tells."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class JudgedRule:
    """What one rule said of the user when a request was decided."""

    name: str
    passed: bool
    required: str
    actual: str
    missing: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in words; `request_id` is that of the decision it tells of."""

    event: FoundEvent
    title: str
    summary: str
    who: str
    changes: list[Change]
    facts: list[Fact]
    rules: list[JudgedRule]
    request_id: UUID | None
    raw: str

    @property
    def is_new(self) -> bool:
        """There is nothing before to compare with."""
        return self.event.type.endswith(".created")


def entry_of(event: FoundEvent, operators: Operators) -> Entry:
    """One event of the log in words."""
    data = _loaded(event.data)
    request, reply = _part(data, "request"), _part(data, "reply")
    changes = changes_of(data, operators, is_new=event.type.endswith(".created"))
    return Entry(
        event=event,
        title=_title(event, reply),
        summary=_summary(event, data, reply, changes),
        who=_who(event, data),
        changes=changes,
        facts=decision_facts(request, reply, _part(data, "inputs")) if reply else _rebuilt(event, data),
        rules=judged_rules(reply),
        request_id=_request_id(request, reply),
        raw=_raw(event, data),
    )


def type_text(kind: str) -> str:
    """What a type of event is called."""
    return _TITLES.get(kind) or humanised(kind)


def decision_facts(
    request: Mapping[str, Any], reply: Mapping[str, Any], inputs: Mapping[str, Any] | None = None
) -> list[Fact]:
    """What was asked, what was decided, and what was known then."""
    accepted = reply.get("status") == "accepted"
    facts = [
        ("Asked for", {"redeem": "a redemption", "revoke": "a revocation"}.get(str(reply.get("command")))),
        ("Code", request.get("code")),
        ("Operator product", request.get("operator_product_id")),
        ("Supplier mapping", request.get("supplier_product_mapping_id")),
        ("Purchase", _purchase(request, reply)),
        ("Decision", str(reply.get("status")) if reply.get("status") else None),
        ("Reason", reason_text(str(reply["reason"])) if reply.get("reason") else None),
        ("What is wrong", reply.get("message")),
        ("Discount", _money(reply.get("discount_amount")) if accepted else None),
        ("Paid", _money(reply.get("price_paid")) if accepted else None),
        ("Redemption", reply.get("redemption_id") or request.get("redemption_id")),
        ("Reason given", request.get("reason")),
        ("Deadline", _moment(request.get("deadline"))),
        *_known(_part(inputs or {}, "offer")),
    ]
    return [Fact(label, str(text)) for label, text in facts if text not in (None, "")]


def terms_then(offer: Mapping[str, Any]) -> str:
    """The terms of the version of an offer that a decision was made by."""
    given = discount_text(str(offer.get("discount_type")), offer.get("discount_value"))
    window = window_text(_instant(offer.get("starts_at")), _instant(offer.get("ends_at")))
    often = limits_text(offer.get("per_user_limit"), offer.get("total_usage_limit"))
    return sentence_of_terms(given, str(offer.get("apply_to")), window, often)


def judged_rules(reply: Mapping[str, Any]) -> list[JudgedRule]:
    """The explanation of a reply."""
    explanation = reply.get("explanation")
    results = explanation if isinstance(explanation, list) else []
    return [
        JudgedRule(
            name=str(result.get("rule_key") or humanised(str(result.get("rule_type", "")))),
            passed=result.get("passed") is True,
            required=measure_text(result.get("required"), str(result.get("rule_type"))),
            actual=measure_text(result.get("actual"), str(result.get("rule_type"))),
            missing=str(result.get("missing") or ""),
        )
        for result in results
        if isinstance(result, dict)
    ]


def _title(event: FoundEvent, reply: Mapping[str, Any]) -> str:
    if event.type == "redemption.rejected" and reply.get("command") == "revoke":
        return "Revocation rejected"
    return type_text(event.type)


def _summary(event: FoundEvent, data: Mapping[str, Any], reply: Mapping[str, Any], changes: Iterable[Change]) -> str:
    if reply.get("reason"):
        return reason_text(str(reply["reason"]))
    if event.type == "redemption.accepted" and reply.get("price_paid") is not None:
        return f"{money_text(reply.get('discount_amount') or 0)} off, {money_text(reply['price_paid'])} paid"
    labels = [change.label.lower() for change in changes]
    if labels and event.type == "offer.updated":
        return f"Changed: {listed(labels, 'and')}"
    named = data.get("name")
    return named if isinstance(named, str) else ""


def _who(event: FoundEvent, data: Mapping[str, Any]) -> str:
    by = _part(data, "by")
    role = f" ({by['role']})" if by.get("role") else ""
    address = f" from {by['address']}" if by.get("address") else ""
    return f"{event.actor}{role}{address}"


def _purchase(request: Mapping[str, Any], reply: Mapping[str, Any]) -> str | None:
    if request.get("unit_price") is None:
        return None
    quantity, unit = request.get("quantity", 1), money_text(request["unit_price"])
    total = reply.get("price")
    return f"{plain_text(quantity)} × {unit}" + (f" = {money_text(total)}" if total is not None else "")


def _known(offer: Mapping[str, Any]) -> Iterable[tuple[str, str | None]]:
    if not offer:
        return
    yield "Open to the user then", _yes_no(offer.get("allowed"))
    yield "Rules passed then", _yes_no(offer.get("eligible"))
    if offer.get("uses") is not None:
        yield "Used by the user before", counted(offer["uses"], "time")
    if offer.get("usage_count") is not None:
        yield "Used in all before", counted(offer["usage_count"], "time")
    if offer.get("definition_version") is not None:
        yield "Version of the offer", str(offer["definition_version"])


def _rebuilt(event: FoundEvent, data: Mapping[str, Any]) -> list[Fact]:
    if event.type != "segment.rebuilt":
        return []
    told = (("Users looked at", "users"), ("Entered", "entered"), ("Left", "left"))
    return [Fact(label, plain_text(data[name])) for label, name in told if name in data]


def _request_id(request: Mapping[str, Any], reply: Mapping[str, Any]) -> UUID | None:
    try:
        return UUID(str(reply.get("request_id") or request.get("request_id")))
    except ValueError:
        return None


def _yes_no(flag: object) -> str | None:
    return {True: "yes", False: "no"}.get(flag) if isinstance(flag, bool) else None


def _money(amount: object) -> str | None:
    return None if amount is None else money_text(amount)


def _moment(text: object) -> str | None:
    instant = _instant(text)
    return moment_text(instant) if instant else None if text is None else str(text)


def _instant(text: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return instant if instant and instant.tzinfo else None


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = data.get(name)
    return found if isinstance(found, dict) else {}


def _loaded(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:  # Digits beyond what Python reads.
        return {}
    return data if isinstance(data, dict) else {}


def _raw(event: FoundEvent, data: Mapping[str, Any]) -> str:
    shown = event_json(event) | {"data": data or event.data}
    return json.dumps(shown, indent=2, ensure_ascii=False, default=_plain)


def _plain(value: object) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value)
