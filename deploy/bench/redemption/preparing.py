"""Makes the state that every measurement starts from, in a database of which each gets a copy of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from deploy.bench.redemption.campaign import PERCENT, TOTAL_USAGE_LIMIT, BenchOffer, Campaign
from deploy.bench.redemption.options import Options
from deploy.bench.servers import Servers, database
from deploy.bench.steps import Steps
from shared.clock import utc_now
from shared.database import Connection
from shared.sqlfile import load_queries

RUN_DATABASE: Final = "run"
"""The copy that queries.sql's copy_database makes."""

queries = load_queries(__file__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data at the start of each measurement."""

    campaign: Campaign
    members: int
    postgres_version: str


async def prepare(servers: Servers, options: Options, steps: Steps) -> Prepared:
    """Fill the servers' database; nothing is changed in it afterwards."""
    campaign = Campaign(options.users, options.offers, utc_now())
    async with database(servers.database_url) as connection:
        with steps.step(f"{options.users:,} users and {options.offers + 1:,} offers loaded"):
            await _load_users(connection, campaign)
            await _load_offers(connection, [campaign.hot, *campaign.spread], options.per_user_limit)
            await connection.execute(queries.vacuum)
        with steps.step("their members stored"):
            await connection.execute(queries.store_members)
            await connection.execute(queries.vacuum)
            found = await connection.fetchrow(queries.data_set)
            assert found is not None
    return Prepared(campaign, found["members"], found["postgres_version"])


@asynccontextmanager
async def own_database(servers: Servers) -> AsyncIterator[str]:
    """The URL of a copy of the prepared database, there while the `async with` block runs."""
    async with database(servers.database_named("postgres")) as connection:
        await connection.execute(queries.drop_database)
        await connection.execute(queries.copy_database)
        try:
            yield servers.database_named(RUN_DATABASE)
        finally:
            await connection.execute(queries.drop_database)


async def _load_users(connection: Connection, campaign: Campaign) -> None:
    now = utc_now()
    users = [(user_id, now) for user_id in campaign.users]
    await connection.copy_records_to_table("users", records=users, columns=["id", "created_at"])
    columns = ["id", "user_id", "operator_id", "amount", "status", "occurred_at"]
    await connection.copy_records_to_table("topup_requests", records=campaign.topup_rows(), columns=columns)


async def _load_offers(connection: Connection, offers: Sequence[BenchOffer], per_user_limit: int) -> None:
    columns = ["id", "code", "title", "status", "discount_type", "discount_value"]
    columns += ["per_user_limit", "total_usage_limit"]
    rows = [
        (offer.id, offer.code, offer.code, "active", "percentage", PERCENT, per_user_limit, TOTAL_USAGE_LIMIT)
        for offer in offers
    ]
    await connection.copy_records_to_table("offers", records=rows, columns=columns)
    rules = [
        (offer.id, offer.rule.rule_key, offer.rule.rule_type, offer.rule.params.model_dump(mode="json"))
        for offer in offers
    ]
    columns = ["offer_id", "rule_key", "rule_type", "params"]
    await connection.copy_records_to_table("offer_eligibility_rules", records=rules, columns=columns)
