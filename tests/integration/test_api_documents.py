"""The HTTP APIs answer as their OpenAPI documents say, whatever they are asked."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from deploy.embedded.ports import free_port
from services.admin.access import Access, AccessSettings
from services.admin.app import openapi as admin_document
from services.audit.api import create_api as create_audit_api
from services.audit.app import openapi as audit_document
from services.audit.handler import AuditHandler
from shared.database import Pool
from shared.http.server import serving
from shared.security import Role, create_token
from shared.settings import HttpSettings
from tests.support.admin import TWO_TOPUPS, admin_api, client_of, created
from tests.support.audit import event, received
from tests.support.conformance import mismatches

USER = UUID(int=7)


async def test_the_admin_api_answers_as_documented(unchanged: Pool, redis_url: str) -> None:
    async with aclosing(Access(unchanged, AccessSettings(redis_url=redis_url))) as access:
        api = admin_api(unchanged, access)
        async with client_of(unchanged, api, Role.admin) as admin:
            known = await something_of_each(unchanged, admin)
        await answers_as_documented(unchanged, api, admin_document(), known, "watch_insight")


async def test_the_audit_api_answers_as_documented(unchanged: Pool) -> None:
    async def kafka_answers() -> None:
        return None

    await AuditHandler(unchanged)(received([event(user_id=USER), event()]))
    await answers_as_documented(unchanged, create_audit_api(unchanged, kafka_answers), audit_document(), {})


async def something_of_each(pool: Pool, admin: httpx.AsyncClient) -> dict[str, object]:
    """What paths can name, by the parameters' names."""
    await pool.execute("INSERT INTO users (id, created_at) VALUES ($1, now()) ON CONFLICT DO NOTHING", USER)
    offer = await created(admin, rules=[TWO_TOPUPS])
    operator = uuid4()
    named = await admin.put(f"/api/operators/{operator}", json={"name": "MTN"})
    person = await admin.post("/api/admins", json={"name": "maria", "role": "viewer"})
    token = await admin.post("/api/tokens", json={"name": "report", "role": "viewer"})
    assert [named.status_code, person.status_code, token.status_code] == [200, 201, 201]
    return {
        "offer_id": offer["id"],
        "user_id": USER,
        "operator_id": operator,
        "admin_id": person.json()["id"],
        "token_id": token.json()["id"],
        "version": 1,
    }


async def answers_as_documented(
    pool: Pool, api: FastAPI, document: dict[str, Any], known: Mapping[str, object], *streams: str
) -> None:
    """Ask it as an admin's program."""
    async with pool.acquire() as connection:
        token = await create_token(connection, "somebody's program", Role.admin)
    settings = HttpSettings(http_port=free_port())
    url = f"http://{settings.http_host}:{settings.http_port}"
    async with serving(api, settings):
        found = await asyncio.to_thread(mismatches, document, url, token, known, streams)
    assert not found, f"{len(found)} mismatches:\n" + "\n\n".join(found)


async def test_what_is_not_documented_is_noticed(unchanged: Pool) -> None:
    async def kafka_answers() -> None:
        return None

    document = audit_document()
    probe = document["paths"]["/healthz"]
    probe["get"]["responses"] = {"204": {"description": "nothing to say"}}
    with pytest.raises(AssertionError, match=r"GET \S+/healthz: status_code_conformance"):
        await answers_as_documented(
            unchanged, create_audit_api(unchanged, kafka_answers), document | {"paths": {"/healthz": probe}}, {}
        )
