"""Makes a stored decision again from what it rested on, and tells where the record says otherwise. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import orjson
from pydantic import TypeAdapter, ValidationError

from services.redemption.decision import STRANGER, Accepted, Offer, Standing, Uses, decide, refuse_revoke
from services.redemption.inputs import PURCHASE_INPUTS, REVOKE_INPUTS, FoundRedemption
from services.redemption.records import Redemption, Reply, StoredDecision
from services.redemption.replies import invalid_reply, purchase_reply, reply_json, revoke_reply
from services.redemption.requests import InvalidRequest, asked_by
from shared.clock import EPOCH
from shared.events.redemption_replies import RedemptionReply, RuleResult
from shared.events.redemption_requests import REDEMPTION_REQUEST, RedeemRequest, RevokeRequest
from shared.named_ids import REDEMPTION_IDS, named_id

_OFFER = TypeAdapter(Offer)
_RULES = TypeAdapter(tuple[RuleResult, ...] | None)
_COLUMNS = ("command", "status", "reason", "offer_id", "user_id", "redemption_id")


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a decision that is not what its inputs lead to."""

    field: str
    recorded: Any
    replayed: Any


def decision_audited(data: Mapping[str, Any]) -> StoredDecision:
    """The decision as the `data` of its audit event tells it.

    Raises:
        ValueError: the data is not what this service tells.
    """
    request, reply = data["request"], RedemptionReply.model_validate(data["reply"])
    stored = StoredDecision(
        request_id=reply.request_id,
        content_hash=b"",
        command="revoke" if reply.command == "revoke" else "redeem",
        status=reply.status,
        reason=reply.reason,
        offer_id=reply.offer_id,
        user_id=reply.user_id,
        redemption_id=reply.redemption_id,
        request=orjson.dumps(request),
        reply=orjson.dumps(data["reply"]).decode(),
        decided_at=reply.decided_at,
        inputs=orjson.dumps(data["inputs"]).decode() if "inputs" in data else None,
    )
    asked = _request(stored)
    return stored if isinstance(asked, InvalidRequest) else replace(stored, content_hash=asked_by(asked).hash)


def definition_version(stored: StoredDecision) -> int | None:
    """The version of the offer's definition that the decision rested on; None if it rested on none that is known."""
    if stored.command != "redeem" or not stored.inputs:
        return None
    try:
        judged = PURCHASE_INPUTS.validate_json(stored.inputs).offer
    except ValidationError:  # What replayed() will say.
        return None
    return None if judged is None else judged.definition_version


def replayed(stored: StoredDecision, definition: Mapping[str, Any] | None) -> list[Difference]:
    """Where the record differs from what deciding again gives; `definition` is the offer's in its version then.

    The decision must have inputs.
    """
    recorded = orjson.loads(stored.reply)
    try:
        request = _request(stored)
        reply = _decided(stored, request, definition, recorded)
    except (ValidationError, ValueError) as error:
        return [Difference("inputs", "unusable", " ".join(str(error).split()))]
    again = orjson.loads(reply_json(reply))
    differences = [
        Difference(name, recorded.get(name), again.get(name))
        for name in sorted(recorded.keys() | again.keys())
        if recorded.get(name) != again.get(name)
    ]
    for name in _COLUMNS:
        column = _plain(getattr(stored, name))
        if column != again[name] and column != recorded.get(name):
            differences.append(Difference(f"stored {name}", column, again[name]))
    if not isinstance(request, InvalidRequest) and (hash_ := asked_by(request).hash) != stored.content_hash:
        differences.append(Difference("hash of the request", stored.content_hash.hex(), hash_.hex()))
    return differences


def _request(stored: StoredDecision) -> RedeemRequest | RevokeRequest | InvalidRequest:
    content = orjson.loads(stored.request)
    if "error" in content:
        return InvalidRequest(stored.request_id, content["command"], content["error"], content)
    request = REDEMPTION_REQUEST.validate_python(content)
    if not isinstance(request, RedeemRequest | RevokeRequest):
        raise ValueError("a quote is never stored")
    return request


def _decided(
    stored: StoredDecision,
    request: RedeemRequest | RevokeRequest | InvalidRequest,
    definition: Mapping[str, Any] | None,
    recorded: Mapping[str, Any],
) -> Reply:
    assert stored.inputs is not None, "decided before inputs were kept"
    if isinstance(request, InvalidRequest):
        return invalid_reply(request, stored.decided_at)
    if isinstance(request, RevokeRequest):
        found = REVOKE_INPUTS.validate_json(stored.inputs).redemption
        redemption = None if found is None else _redemption(found)
        reason = refuse_revoke(request, redemption, stored.decided_at)
        return revoke_reply(request, redemption, stored.decided_at, reason)
    return _redeemed(stored, request, definition, recorded)


def _redeemed(
    stored: StoredDecision, request: RedeemRequest, definition: Mapping[str, Any] | None, recorded: Mapping[str, Any]
) -> Reply:
    judged = PURCHASE_INPUTS.validate_json(stored.inputs or "").offer
    now = stored.decided_at
    if judged is None:
        return purchase_reply(request, None, decide(request, None, STRANGER, Uses(0, 0), now), STRANGER, now)
    if definition is None:
        raise ValueError(f"version {judged.definition_version} of the offer's definition is not kept")
    offer = _OFFER.validate_python(definition)
    # The rules' results are what `eligible` came from; deciding passes them on.
    explanation = _RULES.validate_python(recorded.get("explanation"))
    standing = Standing(judged.allowed, judged.eligible, explanation)
    decision = decide(request, offer, standing, Uses(judged.usage_count, judged.uses), now)
    reply = purchase_reply(request, offer, decision, standing, now)
    if isinstance(decision, Accepted):
        return replace(reply, redemption_id=named_id(REDEMPTION_IDS, str(request.request_id)))
    return reply


def _redemption(found: FoundRedemption) -> Redemption:
    """As far as a revoke looks at it."""
    return Redemption(
        id=found.id,
        request_id=UUID(int=0),
        offer_id=found.offer_id,
        user_id=found.user_id,
        operator_product_id=None,
        supplier_product_mapping_id=None,
        quantity=1,
        price_paid=found.price_paid,
        discount_amount=found.discount_amount,
        revoked_at=found.revoked_at,
        created_at=EPOCH,
    )


def _plain(value: object) -> str | None:
    return None if value is None else str(value)
