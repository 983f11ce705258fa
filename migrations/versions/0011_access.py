"""Who may sign in to the admin page, and tokens that can be listed and revoked there."""

from migrations.revisions import run_sql_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql_file("0011_access.up.sql")


def downgrade() -> None:
    run_sql_file("0011_access.down.sql")
