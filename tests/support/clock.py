"""A migrated database whose clock the test sets, to the microsecond.

PostgreSQL looks in pg_catalog first only where the search path doesn't name it. Here the path ends with it, so
that an unqualified now() or clock_timestamp(), in a query, a function's body or a default, is the one of the
schema `clock`, which reads a table. Tables still go to `public`, which stands first.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from migrations.revisions import upgrade
from shared.database import Pool, create_pool
from shared.settings import DatabaseSettings

# Commits needn't reach the disk: nothing here is killed, and a property test makes thousands.
_CLOCK: Final = """
CREATE SCHEMA clock;
CREATE TABLE clock.instant (moment timestamptz NOT NULL);
INSERT INTO clock.instant VALUES ('2000-01-01T00:00:00Z');
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE
AS 'SELECT moment FROM clock.instant';
CREATE FUNCTION clock.transaction_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
AS 'SELECT moment FROM clock.instant';
CREATE FUNCTION clock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
AS 'SELECT moment FROM clock.instant';
CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
AS 'SELECT moment FROM clock.instant';
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = public, clock, pg_catalog', current_database());
    EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
END $$;
"""


@dataclass(frozen=True, slots=True)
class ClockedDatabase:
    """A pool of connections for which it is the moment last set; it may be set back."""

    pool: Pool

    async def set(self, moment: datetime) -> None:
        """Let it be `moment` for every statement from now on."""
        await self.pool.execute("UPDATE clock.instant SET moment = $1", moment)


@asynccontextmanager
async def clocked_database(empty_database_url: str) -> AsyncIterator[ClockedDatabase]:
    """Give an empty database a clock, then the schema; in the year 2000 until told otherwise."""
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(_CLOCK)
    await connection.close()
    await asyncio.to_thread(upgrade, empty_database_url)
    settings = DatabaseSettings(database_url=empty_database_url)
    async with create_pool(settings, "test") as pool:
        yield ClockedDatabase(pool)
