"""A version that caches of offers compare, and rules versions that notice offers that stop keeping members."""

from migrations.revisions import run_sql_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql_file("0006_versions.up.sql")


def downgrade() -> None:
    run_sql_file("0006_versions.down.sql")
