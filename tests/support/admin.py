"""The admin's HTTP application inside the test's process, with a client for each role."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from services.admin.access import Access, AccessSettings
from services.admin.app import create_api, create_relay
from shared.broker import Publisher
from shared.database import Pool
from shared.security import Role, create_token
from shared.settings import KafkaSettings

NOBODY = UUID(int=0)
DRAFT: dict[str, Any] = {
    "code": "SPRING10",
    "title": "Spring",
    "discount_type": "percentage",
    "discount_value": "10.00",
}
TWO_TOPUPS = {"rule_key": "two-topups", "rule_type": "min_topups", "params": {"count": 2}}


def tokens_only(pool: Pool) -> Access:
    """Nobody can sign in, as there is no Redis; tokens are good."""
    return Access(pool, AccessSettings(redis_url="redis://127.0.0.1:1"))


def admin_api(pool: Pool, access: Access | None = None, **more: Any) -> FastAPI:
    """The application; what it writes to the outbox stays there."""

    async def kafka_answers() -> None:
        return None

    nowhere = Publisher(KafkaSettings(kafka_bootstrap_servers="localhost:1"), "test")
    return create_api(pool, create_relay(pool, nowhere), kafka_answers, access or tokens_only(pool), **more)


@asynccontextmanager
async def client_of(pool: Pool, api: FastAPI, role: Role | None) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token of the role, or with none."""
    headers = {}
    if role is not None:
        async with pool.acquire() as connection:
            token = await create_token(connection, f"the-{role.name}", role)
        headers["Authorization"] = f"Bearer {token}"
    transport = httpx.ASGITransport(app=api, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin", headers=headers) as client:
        yield client


@asynccontextmanager
async def editing(pool: Pool) -> AsyncIterator[httpx.AsyncClient]:
    """An editor's client of an application of its own."""
    async with client_of(pool, admin_api(pool), Role.editor) as client:
        yield client


async def created(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """A stored draft."""
    response = await client.post("/api/offers", json=DRAFT | fields)
    assert response.status_code == 201, response.text
    offer: dict[str, Any] = response.json()
    return offer


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem details of an answer, which must have the status and their media type."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"]
    assert body["title"]
    assert body["detail"]
    return body
