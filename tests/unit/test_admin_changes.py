"""The pure rules of an offer's life, and the OpenAPI document that needs no servers."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from services.admin.app import openapi
from services.admin.changes import Action, describe_change, next_status
from services.admin.models import Offer, Product, Status


def offer(**fields: Any) -> Offer:
    """A stored offer."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    values: dict[str, Any] = {
        "id": UUID(int=1),
        "code": "C",
        "title": "Title",
        "description": "",
        "status": "draft",
        "discount_type": "fixed_amount",
        "discount_value": Decimal("5"),
        "per_user_limit": None,
        "total_usage_limit": None,
        "usage_count": 0,
        "apply_to": "all",
        "allow_all": True,
        "eligibility_logic": "all",
        "starts_at": None,
        "ends_at": None,
        "version": 1,
        "rules_version": 1,
        "created_by": "me",
        "created_at": moment,
        "updated_at": moment,
        "products": [],
        "allowed_users": [],
        "allowed_roles": [],
        "rules": [],
    }
    return Offer(**values | fields)


@pytest.mark.parametrize(
    ("status", "publish", "pause", "archive"),
    [
        ("draft", "active", None, "archived"),
        ("active", None, "paused", "archived"),
        ("paused", "active", None, "archived"),
        ("archived", None, None, None),
    ],
)
def test_each_status_allows_its_actions_and_no_others(
    status: Status, publish: Status | None, pause: Status | None, archive: Status | None
) -> None:
    actions: list[Action] = ["publish", "pause", "archive"]
    assert [next_status(action, status) for action in actions] == [publish, pause, archive]


def test_counters_and_versions_are_no_change_of_content() -> None:
    after = offer(usage_count=9, version=2, rules_version=4, updated_at=datetime(2026, 2, 1, tzinfo=UTC))
    assert describe_change(offer(), after) == {"version": 2, "rules_version": 4, "changes": {}}


def test_a_new_offer_was_nothing_before() -> None:
    changes = describe_change(None, offer(title="New"))["changes"]
    assert changes["title"] == {"before": None, "after": "New"}
    assert changes["discount_value"] == {"before": None, "after": "5.00"}
    assert "per_user_limit" not in changes
    assert "allowed_users" not in changes


def test_products_are_told_as_added_and_removed() -> None:
    kept, dropped = Product(operator_product_id=UUID(int=1)), Product(operator_product_id=UUID(int=2))
    added = Product(operator_product_id=UUID(int=2), price_override=Decimal("3"))
    changes = describe_change(offer(products=[kept, dropped]), offer(products=[kept, added]))["changes"]
    assert changes == {
        "products": {
            "before": 2,
            "after": 2,
            "added": [{"operator_product_id": "00000000-0000-0000-0000-000000000002", "price_override": "3.00"}],
            "removed": [{"operator_product_id": "00000000-0000-0000-0000-000000000002"}],
        }
    }


def test_a_long_list_of_users_is_told_by_count_and_its_first_hundred() -> None:
    users = [UUID(int=number) for number in range(1, 251)]
    change = describe_change(offer(allowed_users=users[:1]), offer(allowed_users=users[1:]))["changes"]["allowed_users"]
    assert (change["before"], change["after"]) == (1, 249)
    assert change["removed"] == ["00000000-0000-0000-0000-000000000001"]
    assert len(change["added"]) == 100
    assert change["added"][0] == "00000000-0000-0000-0000-000000000002"


async def test_the_openapi_document_needs_no_servers_and_knows_every_route() -> None:
    document = openapi()
    assert set(document["paths"]) == {
        "/api/admins",
        "/api/admins/{admin_id}",
        "/api/audit",
        "/api/audit/export",
        "/api/offers",
        "/api/offers/preview",
        "/api/offers/test",
        "/api/offers/{offer_id}",
        "/api/offers/{offer_id}/archive",
        "/api/offers/{offer_id}/draft",
        "/api/offers/{offer_id}/draft/changes",
        "/api/offers/{offer_id}/draft/{direction}",
        "/api/offers/{offer_id}/duplicate",
        "/api/offers/{offer_id}/eligibility/{user_id}",
        "/api/offers/{offer_id}/insight",
        "/api/offers/{offer_id}/insight/events",
        "/api/offers/{offer_id}/members",
        "/api/offers/{offer_id}/members/{user_id}",
        "/api/offers/{offer_id}/pause",
        "/api/offers/{offer_id}/publish",
        "/api/offers/{offer_id}/publish-draft",
        "/api/offers/{offer_id}/rebase-draft",
        "/api/offers/{offer_id}/versions",
        "/api/offers/{offer_id}/versions/{version}/revert",
        "/api/operators",
        "/api/operators/{operator_id}",
        "/api/requests/{request_id}",
        "/api/schemas/eligibility-rule",
        "/api/session",
        "/api/session/password",
        "/api/tokens",
        "/api/tokens/{token_id}",
        "/api/users/{user_id}",
        "/api/users/{user_id}/eligibility",
        "/healthz",
        "/metrics",
        "/readyz",
    }
    put = document["paths"]["/api/offers/{offer_id}"]["put"]
    assert put["responses"]["409"]["content"].keys() == {"application/problem+json"}
    assert put["security"] == [{"HTTPBearer": []}, {"APIKeyCookie": []}]
    assert "HTTPValidationError" not in json.dumps(document)
