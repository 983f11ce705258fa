"""The admin site as people meet it: the real application on a real port, its outbox relayed to Kafka, a campaign."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import httpx
from fastapi import FastAPI

from deploy.embedded.ports import free_port
from deploy.sample.campaign import Campaign, invent
from deploy.sample.offers import UNPUBLISHED, drafts
from services.admin.access import Access
from services.admin.access_models import AdminUser
from services.admin.accounts import create_user
from services.admin.app import AdminSettings, create_api, create_relay
from services.segmenter.rebuild import rebuild_chunk, request_rebuilds
from shared.broker import Publisher
from shared.clock import utc_now
from shared.database import Pool
from shared.http.probes import kafka_probe
from shared.http.server import serving
from shared.security import Caller, Role, create_token
from shared.service import background
from shared.settings import KafkaSettings
from tests.support.read_models import ReadModels

SEED: Final = 20_260_101
"""The campaign is the same in every run, but for the time its history ends."""
PASSWORD: Final = "correct horse battery staple"
NAMES: Final = {Role.viewer: "Vera", Role.editor: "Edith", Role.admin: "Ada"}
"""Who may sign in, with the password."""
OWNER: Final = Caller("the tests", Role.admin)


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


def site_settings(database_url: str, redis_url: str, kafka: KafkaSettings) -> AdminSettings:
    """Settings as `offers run admin` would read them, on a port nobody else has."""
    known: dict[str, Any] = {"database_url": database_url, "redis_url": redis_url, "http_port": free_port()}
    return AdminSettings(**kafka.model_dump() | known)


@asynccontextmanager
async def running_site(settings: AdminSettings, pool: Pool) -> AsyncIterator[Site]:
    """The site with the sample campaign loaded and its members computed; no other service runs."""
    publisher = Publisher(settings, "test")
    await publisher.start()
    relay = create_relay(pool, publisher)
    try:
        async with aclosing(Access(pool, settings)) as access:
            api = create_api(pool, relay, kafka_probe(settings), access)
            site = Site(api, settings, pool, publisher, invent(SEED, utc_now()))
            async with background(relay.run()), serving(api, settings):
                await _let_in(site, access)
                await _load(site)
                yield site
    finally:
        await publisher.stop()


async def compute_members(pool: Pool) -> None:
    """Bring every offer's members up to date, as the segmenter does."""
    await request_rebuilds(pool)
    while await rebuild_chunk(pool) is not None:
        pass


async def _let_in(site: Site, access: Access) -> None:
    async with site.pool.acquire() as connection:
        for role, name in NAMES.items():
            site.tokens[role] = await create_token(connection, f"{name}'s program", role)
            user = await create_user(connection, access.logins.passwords, name, role.name, PASSWORD, OWNER)
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
