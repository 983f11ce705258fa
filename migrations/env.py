"""Alembic's environment: one psycopg connection to OFFERS_DATABASE_URL, each revision in a transaction."""

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from migrations.revisions import sqlalchemy_url
from shared.errors import ConfigurationError


def connect(database_url: str) -> Connection:
    """A connection to migrate on.

    Raises:
        ConfigurationError: PostgreSQL can't be reached, or doesn't let us in.
    """
    try:
        return create_engine(sqlalchemy_url(database_url), poolclass=NullPool).connect()
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        raise ConfigurationError(f"OFFERS_DATABASE_URL: PostgreSQL can't be reached: {said}") from error


with connect(context.config.attributes["database_url"]) as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
