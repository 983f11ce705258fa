"""Makes the state the rounds start from: users with history, offers, and memberships built by the product."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from deploy.bench.segmenter.campaign import BenchOffer, invent_offers
from deploy.bench.segmenter.options import Options
from deploy.bench.segmenter.population import Population
from deploy.bench.servers import Servers, database
from deploy.bench.steps import Steps
from services.segmenter.rebuild import rebuild_chunk, request_rebuilds
from shared.clock import utc_now
from shared.database import Connection, create_pool
from shared.settings import DatabaseSettings
from shared.sqlfile import load_queries

INGEST_DATABASE: Final = "ingest"
"""The copy that queries.sql's copy_database makes."""

queries = load_queries(__file__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data at the start of the rounds, and how long its memberships took."""

    population: Population
    offers: Sequence[BenchOffer]
    members: int
    history_rows: int
    rebuild_s: float
    postgres_version: str

    @property
    def offer_ids(self) -> list[UUID]:
        """The offers' ids; the first is the one that first topups on the reserved operator lead into."""
        return [offer.id for offer in self.offers]


async def prepare(servers: Servers, options: Options, steps: Steps) -> Prepared:
    """Fill the servers' database, and copy it for the ingest worker."""
    population = Population(options.users, utc_now())
    offers = invent_offers(options.offers, population.operators, population.reserved_operator)
    async with database(servers.database_url) as connection:
        with steps.step(f"{options.users:,} users and their history loaded"):
            await _load_population(connection, population)
            await _load_offers(connection, offers)
            await connection.execute(queries.vacuum)
        with steps.step(f"members of {options.offers:,} offers built") as show:
            rebuild_s = await _rebuild(servers, show)
        with steps.step("vacuumed"):
            await connection.execute(queries.forget_announcements)
            await connection.execute(queries.vacuum)
            found = await connection.fetchrow(queries.data_set)
            assert found is not None
    with steps.step("copied for the ingest worker"):
        async with database(servers.database_named("postgres")) as connection:
            await connection.execute(queries.copy_database)
    return Prepared(population, offers, found["members"], found["history_rows"], rebuild_s, found["postgres_version"])


async def _load_population(connection: Connection, population: Population) -> None:
    await connection.copy_records_to_table("users", records=population.user_rows(), columns=["id", "created_at"])
    columns = ["id", "user_id", "operator_id", "kind", "amount", "status", "occurred_at"]
    await connection.copy_records_to_table("topup_requests", records=population.history_rows(), columns=columns)


async def _load_offers(connection: Connection, offers: Sequence[BenchOffer]) -> None:
    columns = ["id", "code", "title", "status", "discount_type", "discount_value", "eligibility_logic"]
    rows = [(offer.id, offer.code, offer.code, "active", "percentage", 10, offer.logic) for offer in offers]
    await connection.copy_records_to_table("offers", records=rows, columns=columns)
    rules = [
        (offer.id, rule.rule_key, rule.rule_type, rule.params.model_dump(mode="json", exclude_none=True))
        for offer in offers
        for rule in offer.rules
    ]
    columns = ["offer_id", "rule_key", "rule_type", "params"]
    await connection.copy_records_to_table("offer_eligibility_rules", records=rules, columns=columns)


async def _rebuild(servers: Servers, show: Callable[[str], None]) -> float:
    """Build every offer's members as one worker does; the seconds it took."""
    async with create_pool(DatabaseSettings(database_url=servers.database_url), "bench") as pool:
        started = time.perf_counter()
        await request_rebuilds(pool)
        chunks = 0
        while await rebuild_chunk(pool) is not None:
            chunks += 1
            show(f"{chunks:,} chunks")
        return time.perf_counter() - started
