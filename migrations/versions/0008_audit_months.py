"""The audit log by month and append-only, with checkpoints."""

from migrations.revisions import run_sql_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql_file("0008_audit_months.up.sql")


def downgrade() -> None:
    run_sql_file("0008_audit_months.down.sql")
