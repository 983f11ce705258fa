"""Alembic's environment: one psycopg connection to OFFERS_DATABASE_URL, each revision in a transaction."""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from migrations.revisions import sqlalchemy_url

engine = create_engine(sqlalchemy_url(context.config.attributes["database_url"]), poolclass=NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
