"""Reads redemption requests, and tells what makes two of them the same."""

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import orjson
from pydantic import ValidationError

from shared.batches import error_text
from shared.events.redemption_requests import REDEMPTION_REQUEST, QuoteRequest, RedeemRequest, RevokeRequest

Command = Literal["redeem", "quote", "revoke"]


@dataclass(frozen=True, slots=True)
class InvalidRequest:
    """A message that names its request_id but is no valid request: its sender can still be answered."""

    request_id: UUID
    command: Command
    error: str
    content: dict[str, Any]


Request = RedeemRequest | QuoteRequest | RevokeRequest | InvalidRequest


def read_request(value: bytes) -> Request:
    """Read one message's value.

    Raises:
        ValueError: it doesn't even name a request to answer.
    """
    try:
        return REDEMPTION_REQUEST.validate_json(value)
    except ValidationError as error:
        invalid = _answerable(value, error_text(error))
        if invalid is None:
            raise
        return invalid


def _answerable(value: bytes, error: str) -> InvalidRequest | None:
    try:
        content = orjson.loads(value)
        request_id = UUID(content["request_id"])
        orjson.dumps(content)  # It reads deeper nesting than it writes, and content_hash must write it.
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    command: Command = "redeem"
    if content.get("command") in ("quote", "revoke"):
        command = content["command"]
    return InvalidRequest(request_id, command, error, content)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, as JSON, and the SHA-256 of it. A later deadline asks for nothing else, so the hash has none."""

    content: bytes
    hash: bytes


def asked_by(request: RedeemRequest | RevokeRequest | InvalidRequest) -> Asked:
    """What a request asks, for the record, for audit, and to tell a repeat from a conflict."""
    if isinstance(request, InvalidRequest):
        content = {"request_id": str(request.request_id), "command": request.command, "error": request.error}
        asked = {name: value for name, value in request.content.items() if name != "deadline"}
        return Asked(orjson.dumps(content), hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).digest())
    asked = {name: value for name, value in request if name != "deadline"}
    body = orjson.dumps(asked, default=_text, option=orjson.OPT_UTC_Z)
    deadline = orjson.dumps(request.deadline, option=orjson.OPT_UTC_Z)
    return Asked(body[:-1] + b',"deadline":' + deadline + b"}", hashlib.sha256(body).digest())


def _text(value: Decimal | UUID) -> str:
    """What JSON lacks: 10 and 10.00 are the same amount. The driver has a UUID type of its own."""
    return f"{value:.2f}" if isinstance(value, Decimal) else str(value)
