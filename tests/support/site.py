"""The admin site as people meet it: the real application on a real port, relaying to Kafka, with a campaign in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast
from uuid import UUID

import httpx
import orjson
from fastapi import FastAPI

from deploy.embedded.ports import free_port
from deploy.sample.campaign import Campaign, invent
from deploy.sample.offers import UNPUBLISHED, drafts
from services.admin.access_models import AdminUser, RoleName
from services.admin.accounts import create_user
from services.admin.app import AdminSettings, answering
from services.admin.passwords import Passwords
from services.redemption.requests import read_request
from services.segmenter.rebuild import rebuild_chunk, request_rebuilds
from shared.batches import Received
from shared.broker import Publisher
from shared.clock import utc_now
from shared.database import Pool
from shared.security import Caller, Role, create_token
from shared.settings import KafkaSettings
from tests.support.audit import audit_worker
from tests.support.deciding import redemption_handler, request_record
from tests.support.insight import count_all
from tests.support.read_models import ReadModels
from tests.support.requests import redeem
from tests.support.waiting import until

SEED: Final = 20_260_101
"""The campaign is the same in every run, but for the time its history ends."""
PASSWORD: Final = "correct horse battery staple"
NAMES: Final[dict[Role, str]] = {Role.viewer: "Vera", Role.editor: "Edith", Role.admin: "Ada"}
"""Who may sign in, with the password."""
OWNER: Final = Caller("the tests", Role.admin)
BUYERS: Final = 20


@dataclass(frozen=True, slots=True)
class Site:
    """Where the site is, what stands behind it, and what is in it."""

    api: FastAPI
    settings: AdminSettings
    pool: Pool
    publisher: Publisher
    campaign: Campaign
    tokens: dict[Role, str] = field(default_factory=dict)
    people: dict[Role, UUID] = field(default_factory=dict)
    """The ids of those who may sign in."""
    offers: dict[str, UUID] = field(default_factory=dict)
    """The offers' ids by their codes."""
    requests: list[UUID] = field(default_factory=list)
    """The ids of what checkouts asked: half of it for LOYAL5, half for FLASH50."""

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{self.settings.http_host}:{self.settings.http_port}"

    def client(self, role: Role = Role.editor) -> httpx.AsyncClient:
        """A program's way in, with a token of the role."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60)

    async def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the API answers to an admin's program; it must not refuse."""
        async with self.client(Role.admin) as client:
            response = await client.request(method, path, json=body)
        assert response.is_success, f"{method} {path}: {response.status_code}: {response.text}"
        answer: dict[str, Any] = response.json()
        return answer


@asynccontextmanager
async def running_site(database_url: str, redis_url: str, kafka: KafkaSettings, pool: Pool) -> AsyncIterator[Site]:
    """The site on a port nobody else has, with the sample campaign in it, its members computed, and some purchases.

    The audit service runs beside it; the others are for the tests that need them (tests/support/services.py).
    """
    known: dict[str, Any] = {"database_url": database_url, "redis_url": redis_url, "http_port": free_port()}
    settings = AdminSettings(**kafka.model_dump() | known)
    publisher = Publisher(kafka, "test")
    await publisher.start()
    try:
        async with audit_worker(pool, kafka, publisher), answering(settings, pool, publisher) as (api, _):
            site = Site(api, settings, pool, publisher, invent(SEED, utc_now()))
            await _let_in(site)
            await _load(site)
            await _sell(site)
            yield site
    finally:
        await publisher.stop()


async def compute_members(pool: Pool) -> None:
    """Bring every offer's members up to date, as the segmenter does."""
    await request_rebuilds(pool)
    while await rebuild_chunk(pool) is not None:
        pass


async def _let_in(site: Site) -> None:
    async with site.pool.acquire() as connection:
        for role, name in NAMES.items():
            site.tokens[role] = await create_token(connection, f"{name}'s program", role)
            role_name = cast(RoleName, role.name)
            user = await create_user(connection, Passwords(), name, role_name, PASSWORD, OWNER)
            assert isinstance(user, AdminUser)
            site.people[role] = user.id


async def _load(site: Site) -> None:
    await _store_history(site.pool, site.campaign)
    for name, operator in site.campaign.operators.items():
        await site.send("PUT", f"/api/operators/{operator}", {"name": name})
    for draft in drafts(site.campaign, utc_now()):
        offer = await site.send("POST", "/api/offers", draft)
        site.offers[draft["code"]] = UUID(offer["id"])
        if draft["code"] != UNPUBLISHED:
            await site.send("POST", f"/api/offers/{offer['id']}/publish", {})
    await compute_members(site.pool)


async def _store_history(pool: Pool, campaign: Campaign) -> None:
    """What the segmenter would have stored of the campaign's events; reversed topups count nowhere and are left out."""
    models = ReadModels()
    models.learn([*campaign.users, *campaign.topups])
    users = [(id_, *row) for id_, row in models.user_rows().items()]
    await pool.copy_records_to_table("users", records=users, columns=["id", "created_at", "roles"])
    topups = [(id_, *row) for id_, row in models.topup_rows().items() if row[1] != "reversed"]
    columns = ["id", "user_id", "status", "operator_id", "kind", "amount", "occurred_at"]
    await pool.copy_records_to_table("topup_requests", records=topups, columns=columns)


async def _sell(site: Site) -> None:
    """Purchases as the redemption service decides them, counted and in the audit log."""
    requests = [
        redeem(site.offers[code], user.user_id)
        for code in ("LOYAL5", "FLASH50")
        for user in site.campaign.users[:BUYERS]
    ]
    values = [orjson.dumps(request) for request in requests]
    batch = [Received(read_request(value), request_record(place, value)) for place, value in enumerate(values)]
    await site.publisher.publish_all(await redemption_handler(site.pool, site.publisher)(batch))
    site.requests.extend(UUID(request["request_id"]) for request in requests)
    await count_all(site.pool)
    logged = "SELECT count(*) FROM audit_log WHERE type IN ('redemption.accepted', 'redemption.rejected')"
    await until(site.pool, logged, len(requests))
