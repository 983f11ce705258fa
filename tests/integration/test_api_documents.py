"""The HTTP APIs answer as their OpenAPI documents say, whatever they are asked."""

import asyncio
from contextlib import aclosing
from typing import Any

from fastapi import FastAPI

from deploy.embedded.ports import free_port
from services.admin.access import Access, AccessSettings
from services.admin.app import openapi as admin_document
from services.audit.api import create_api as create_audit_api
from services.audit.app import openapi as audit_document
from shared.database import Pool
from shared.http.server import serving
from shared.security import Role, create_token
from shared.settings import HttpSettings
from tests.support.admin import admin_api
from tests.support.conformance import mismatches


async def test_the_admin_api_answers_as_documented(unchanged: Pool, redis_url: str) -> None:
    async with aclosing(Access(unchanged, AccessSettings(redis_url=redis_url))) as access:
        await answers_as_documented(unchanged, admin_api(unchanged, access), admin_document())


async def test_the_audit_api_answers_as_documented(unchanged: Pool) -> None:
    async def kafka_answers() -> None:
        return None

    await answers_as_documented(unchanged, create_audit_api(unchanged, kafka_answers), audit_document())


async def answers_as_documented(pool: Pool, api: FastAPI, document: dict[str, Any], *streams: str) -> None:
    """Ask it as an admin."""
    async with pool.acquire() as connection:
        token = await create_token(connection, "somebody's program", Role.admin)
    settings = HttpSettings(http_port=free_port())
    url = f"http://{settings.http_host}:{settings.http_port}"
    async with serving(api, settings):
        found = await asyncio.to_thread(mismatches, document, url, token, streams)
    assert not found, f"{len(found)} mismatches:\n" + "\n\n".join(found)
