"""Counts of decisions and of members by the hour, and how far they have been counted."""

from migrations.revisions import run_sql_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql_file("0013_insight.up.sql")


def downgrade() -> None:
    run_sql_file("0013_insight.down.sql")
