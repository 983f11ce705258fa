"""What keeps reading histories and memberships cheap however many users there are."""

from migrations.revisions import run_sql_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql_file("0004_segment_reading.up.sql")


def downgrade() -> None:
    run_sql_file("0004_segment_reading.down.sql")
