"""The eligibility functions, and the triggers that raise an offer's rules version."""

from migrations.revisions import run_sql_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql_file("0002_eligibility.up.sql")


def downgrade() -> None:
    run_sql_file("0002_eligibility.down.sql")
