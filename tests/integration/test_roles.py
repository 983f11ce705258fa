"""Each service's database role: allowed every query of its own, refused what belongs to others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg
import orjson
import pytest
from typer.testing import CliRunner

from deploy.cli.app import app
from deploy.logins import create_logins
from deploy.verification import verify
from shared.database import Connection, Pool, connect
from shared.settings import DatabaseSettings
from shared.sqlfile import Queries
from tests.support.campaign import add_offer
from tests.support.deciding import redemption_handler, replies_to
from tests.support.requests import redeem
from tests.support.sound import Campaign

ROOT: Final = Path(__file__).parents[2]
ROLES: Final = ("offers_redemption", "offers_segmenter", "offers_audit", "offers_admin", "offers_reader")
FILES: Final = {
    "offers_redemption": ["services/redemption/queries.sql"],
    "offers_segmenter": ["services/segmenter/queries.sql", "shared/outbox.sql", "shared/histories.sql"],
    "offers_audit": ["services/audit/queries.sql", "shared/security.sql", "shared/audit_log/queries.sql"],
    "offers_admin": [
        *(f"services/admin/{name}.sql" for name in ("queries", "drafts", "access", "judging", "history", "listing")),
        *("services/admin/insight/queries.sql", "shared/security.sql", "shared/audit_log/queries.sql"),
        *("shared/outbox.sql", "shared/histories.sql"),
    ],
    "offers_reader": ["deploy/verification.sql", "deploy/cli/queries.sql"],
}
QUERIES: Final = [
    (role, file, name) for role, files in FILES.items() for file in files for name in Queries(ROOT / file)
]
TABLES: Final = (
    *("offers", "offer_products", "offer_allowed_users", "offer_allowed_roles", "offer_eligibility_rules"),
    *("offer_segment_members", "offer_segment_rebuilds", "offer_definitions", "offer_redemptions"),
    *("redemption_decisions", "decision_periods", "users", "topup_requests", "operators", "outbox", "audit_log"),
    *("audit_chains", "audit_checkpoints", "api_tokens", "offer_drafts", "offer_draft_steps", "offer_versions"),
    "admin_users",
    *("offer_decision_counts", "offer_member_counts", "insight_progress"),
)
INSIGHT: Final = {"offer_decision_counts", "offer_member_counts", "insight_progress"}
EDITING: Final = {"offer_drafts", "offer_draft_steps", "offer_versions"}
AUDIT: Final = {"audit_log", "audit_chains", "audit_checkpoints", "api_tokens", "admin_users"}
WRITES: Final = {
    "offers_redemption": {"offers": "u", "offer_redemptions": "iu", "redemption_decisions": "i"},
    "offers_segmenter": {
        "users": "iu",
        "topup_requests": "iu",
        "offer_segment_members": "iud",
        "offer_segment_rebuilds": "iu",
        "outbox": "id",
    },
    "offers_audit": {"audit_log": "i", "audit_chains": "iu", "api_tokens": "u"},
    "offers_admin": {
        "offers": "iu",
        "offer_products": "id",
        "offer_allowed_users": "id",
        "offer_allowed_roles": "id",
        "offer_eligibility_rules": "iud",
        "operators": "iu",
        "outbox": "id",
        "offer_drafts": "iud",
        "offer_draft_steps": "iud",
        "offer_versions": "i",
        "api_tokens": "iu",
        "admin_users": "iu",
        "offer_decision_counts": "iud",
        "offer_member_counts": "iud",
        "insight_progress": "u",
    },
    "offers_reader": {},
}
"""What each role may insert, update (some columns at least) or delete."""
UNREAD: Final = {
    "offers_redemption": {"offer_segment_rebuilds", "offer_definitions", "outbox", *EDITING, *INSIGHT, *AUDIT},
    "offers_segmenter": {
        *("offer_products", "offer_definitions", "offer_redemptions", "redemption_decisions", "decision_periods"),
        *("operators", *EDITING, *INSIGHT, *AUDIT),
    },
    "offers_audit": set(TABLES) - AUDIT,
    "offers_admin": {"decision_periods", "audit_chains", "audit_checkpoints"},
    "offers_reader": {"outbox", "api_tokens", "admin_users", "offer_drafts", "offer_draft_steps", *INSIGHT},
}
"""What each role may not read."""


@asynccontextmanager
async def acting_as(pool: Pool, role: str) -> AsyncIterator[Connection]:
    """A connection with the rights of a role; what it did is undone at the end."""
    async with pool.acquire() as connection:
        undone = connection.transaction()
        await undone.start()
        try:
            await connection.execute(f"SET LOCAL ROLE {role}")
            yield connection
        finally:
            await undone.rollback()


@pytest.mark.parametrize(("role", "file", "name"), QUERIES)
async def test_a_role_may_run_every_query_of_its_service(unchanged: Pool, role: str, file: str, name: str) -> None:
    sql = getattr(Queries(ROOT / file), name)
    async with acting_as(unchanged, role) as connection:
        if name in ("open_decision_period", "drop_decision_periods", "start_preview"):
            return  # They run below, and in the sample campaign: planning them is no proof.
        await connection.execute(f"EXPLAIN (GENERIC_PLAN) {sql}")


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_write_what_is_its_own_and_nothing_else(unchanged: Pool, role: str) -> None:
    rows = await unchanged.fetch(
        "SELECT t.name, has_any_column_privilege($1, t.name, 'INSERT') AS i,"
        " has_any_column_privilege($1, t.name, 'UPDATE') AS u, has_table_privilege($1, t.name, 'DELETE') AS d,"
        " has_table_privilege($1, t.name, 'TRUNCATE') AS t, has_table_privilege($1, t.name, 'TRIGGER') AS g"
        " FROM unnest($2::text[]) AS t (name)",
        role,
        TABLES,
    )
    found = {row["name"]: "".join(right for right in "iudtg" if row[right]) for row in rows}
    assert {table: rights for table, rights in found.items() if rights} == WRITES[role]


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_read_what_its_service_asks_for(unchanged: Pool, role: str) -> None:
    rows = await unchanged.fetch(
        "SELECT t.name FROM unnest($2::text[]) AS t (name) WHERE NOT has_any_column_privilege($1, t.name, 'SELECT')",
        role,
        TABLES,
    )
    assert {row["name"] for row in rows} == UNREAD[role]


async def test_every_table_is_looked_at_here(unchanged: Pool) -> None:
    rows = await unchanged.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND relname <> 'alembic_version'"
    )
    assert {row["relname"] for row in rows} == set(TABLES)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("offers_redemption", "INSERT INTO offer_eligibility_rules (offer_id, rule_key, rule_type, params)"
         " SELECT id, 'a', 'min_topups', '{}' FROM offers"),
        ("offers_redemption", "UPDATE offers SET discount_value = 100"),
        ("offers_redemption", "UPDATE offer_redemptions SET price_paid = 0"),
        ("offers_redemption", "UPDATE redemption_decisions SET status = 'accepted'"),
        ("offers_redemption", "DELETE FROM redemption_decisions"),
        ("offers_redemption", "SELECT FROM audit_log"),
        ("offers_redemption", "INSERT INTO audit_chains VALUES (1, 1, '')"),
        ("offers_redemption", "DROP TABLE redemption_decisions"),
        ("offers_segmenter", "SELECT FROM offer_redemptions"),
        ("offers_segmenter", "UPDATE offers SET usage_count = 0"),
        ("offers_segmenter", "SELECT open_decision_period()"),
        ("offers_segmenter", "SELECT drop_decision_periods(now())"),
        ("offers_audit", "UPDATE audit_log SET data = '{}'"),
        ("offers_audit", "DELETE FROM audit_log"),
        ("offers_audit", "TRUNCATE audit_log"),
        ("offers_audit", "DELETE FROM audit_chains"),
        ("offers_audit", "SELECT FROM offers"),
        ("offers_audit", "SELECT created_by FROM api_tokens"),
        ("offers_audit", "SELECT password_hash FROM admin_users"),
        ("offers_audit", "UPDATE api_tokens SET revoked_at = NULL"),
        ("offers_audit", "UPDATE api_tokens SET role = 'admin'"),
        ("offers_admin", "INSERT INTO offer_redemptions (request_id, offer_id, user_id, price_paid, discount_amount)"
         " SELECT gen_random_uuid(), id, gen_random_uuid(), 0, 0 FROM offers"),
        ("offers_admin", "UPDATE offers SET usage_count = 0"),
        ("offers_admin", "UPDATE offers SET definition_version = 1"),
        ("offers_admin", "DELETE FROM offers"),
        ("offers_admin", "UPDATE api_tokens SET role = 'admin'"),
        ("offers_admin", "DELETE FROM api_tokens"),
        ("offers_admin", "UPDATE admin_users SET name = 'another'"),
        ("offers_admin", "DELETE FROM admin_users"),
        ("offers_admin", "INSERT INTO audit_log SELECT FROM audit_log"),
        ("offers_admin", "DELETE FROM redemption_decisions"),
        ("offers_admin", "SELECT FROM audit_chains"),
        ("offers_admin", "UPDATE offer_definitions SET definition = '{}'"),
        ("offers_reader", "SELECT FROM api_tokens"),
        ("offers_reader", "UPDATE offers SET usage_count = 0"),
        *((role, "CREATE TABLE own (id integer)") for role in ROLES),
        *((role, "ALTER TABLE offers ADD COLUMN own integer") for role in ROLES),
        *((role, "DROP TABLE offers CASCADE") for role in ROLES),
        *((role, "ALTER TABLE audit_log DISABLE TRIGGER ALL") for role in ROLES),
        *((role, "CREATE FUNCTION own() RETURNS integer LANGUAGE sql AS 'SELECT 1'") for role in ROLES),
    ],
)  # fmt: skip
async def test_what_belongs_to_others_is_refused(unchanged: Pool, role: str, statement: str) -> None:
    async with acting_as(unchanged, role) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_redemption_opens_and_drops_periods_of_decisions_without_owning_them(pool: Pool) -> None:
    async with acting_as(pool, "offers_redemption") as connection:
        later = datetime(2100, 1, 15, tzinfo=UTC)
        assert str(await connection.fetchval("SELECT open_decision_period($1)", later)) == "2100-01-01"
        await connection.execute(
            "INSERT INTO redemption_decisions (request_id, content_hash, command, status, request, reply, decided_at)"
            " VALUES ($1, '', 'redeem', 'accepted', '{}', '{}', now())",
            uuid4(),
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await connection.execute("DROP TABLE redemption_decisions_2100_01")
        before = await connection.fetchval("SELECT count(*) FROM decision_periods")
        await connection.execute("SELECT drop_decision_periods($1)", later.replace(year=2101))
        assert await connection.fetchval("SELECT count(*) FROM decision_periods") == 1 < before


async def test_an_edit_raises_versions_and_keeps_the_definition_whoever_edits(pool: Pool) -> None:
    offer_id = await add_offer(pool)
    async with acting_as(pool, "offers_admin") as connection:
        await connection.execute("INSERT INTO offer_allowed_users VALUES ($1, $2)", offer_id, uuid4())
        await connection.execute(
            "INSERT INTO offer_products (offer_id, operator_product_id) VALUES ($1, $2)", offer_id, uuid4()
        )
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        versions = await connection.fetchrow("SELECT rules_version, definition_version FROM offers")
        assert tuple(versions or ()) == (2, 2)
        await connection.execute("RESET ROLE")
        kept = await connection.fetch("SELECT definition_version FROM offer_definitions ORDER BY 1")
        assert [row["definition_version"] for row in kept] == [1, 2]


async def test_a_login_has_its_services_rights_and_needs_its_newest_password(database_url: str, pool: Pool) -> None:
    async with pool.acquire() as owner:
        old = await create_logins(owner, database_url, ["audit"])
        new = await create_logins(owner, database_url, ["audit"])
    connection = await asyncpg.connect(new["audit"])
    assert await connection.fetchval("SELECT count(*) FROM audit_log") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("DELETE FROM audit_log")
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(old["audit"])


async def test_the_reader_may_verify_and_explain(database_url: str, pool: Pool) -> None:
    campaign = Campaign(pool)
    await campaign.build()
    request = redeem(campaign.ruled, campaign.regular)
    await replies_to(redemption_handler(pool), [orjson.dumps(request)])
    async with pool.acquire() as owner:
        urls = await create_logins(owner, database_url, ["reader"])
    connection = await connect(DatabaseSettings(database_url=urls["reader"]))
    breaches = await verify(connection)
    await connection.close()
    assert [breach.problem for breach in breaches] == ["no audit event redemption.accepted"]
    for arguments in ([str(campaign.ruled), str(campaign.regular)], ["--decision", request["request_id"]]):
        environment = {"OFFERS_DATABASE_URL": urls["reader"]}
        explained = await asyncio.to_thread(CliRunner().invoke, app, ["explain", *arguments], env=environment)
        assert explained.exit_code == 0, explained.output
