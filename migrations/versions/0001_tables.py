"""The seven tables of offers, the read models, decisions, the outbox, the audit log and API tokens."""

from migrations.revisions import run_sql_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql_file("0001_tables.up.sql")


def downgrade() -> None:
    run_sql_file("0001_tables.down.sql")
