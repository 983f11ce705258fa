"""Decisions by period, so that the retention drops partitions."""

from migrations.revisions import run_sql_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql_file("0007_decision_periods.up.sql")


def downgrade() -> None:
    run_sql_file("0007_decision_periods.down.sql")
