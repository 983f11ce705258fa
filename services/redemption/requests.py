"""Reads redemption requests, and tells what makes two of them the same."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import orjson
from pydantic import ValidationError

from shared.consuming import error_text
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


def content_of(request: Request) -> dict[str, Any]:
    """What was asked, as JSON values, for the record and for audit."""
    if isinstance(request, InvalidRequest):
        return {"request_id": str(request.request_id), "command": request.command, "error": request.error}
    return request.model_dump(mode="json")


def content_hash(request: Request) -> bytes:
    """SHA-256 of what was asked. A later deadline on a repeat asks for nothing else, so it is left out."""
    content = request.content if isinstance(request, InvalidRequest) else content_of(request)
    asked = {name: value for name, value in content.items() if name != "deadline"}
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).digest()
