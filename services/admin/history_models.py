"""What the admin API tells of a request."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

_REQUEST = "c3a7b1f2-9a51-4d0c-8f52-0f6a0f4f2a77"
_OFFER = "7d2b61a4-3f0e-4f0c-9b50-5a4b0c2f7e11"


class RequestDecision(BaseModel):
    """What was asked, what was decided, and what the decision rested on."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "request_id": _REQUEST,
                    "request": {"request_id": _REQUEST, "offer_id": _OFFER, "unit_price": "100.00", "quantity": 1},
                    "reply": {
                        "request_id": _REQUEST,
                        "command": "redeem",
                        "status": "rejected",
                        "reason": "per_user_limit_reached",
                    },
                    "inputs": {
                        "offer": {
                            "definition_version": 3,
                            "allowed": True,
                            "eligible": True,
                            "uses": 1,
                            "usage_count": 40,
                        }
                    },
                    "offer": {"id": _OFFER, "code": "SPRING10", "title": "Spring", "per_user_limit": 1},
                }
            ]
        }
    )

    request_id: UUID
    request: dict[str, Any] = Field(description="as it came")
    reply: dict[str, Any] = Field(description="as it was sent")
    inputs: dict[str, Any] | None = Field(description="what was known then; null: decided before that was kept")
    offer: dict[str, Any] | None = Field(description="the version of the offer it was decided by, if it is known")
