"""A version that caches of offers compare, raised by whatever changes an offer or its products."""

from migrations.revisions import run_sql_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql_file("0006_definition_version.up.sql")


def downgrade() -> None:
    run_sql_file("0006_definition_version.down.sql")
