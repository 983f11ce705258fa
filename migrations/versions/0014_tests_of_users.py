"""Testing a user at another date, and what the admin's pages read for it and of the audit log."""

from migrations.revisions import run_sql_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql_file("0014_tests_of_users.up.sql")


def downgrade() -> None:
    run_sql_file("0014_tests_of_users.down.sql")
