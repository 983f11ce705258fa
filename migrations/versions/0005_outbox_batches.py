"""One outbox row for all the messages of a change, not one for each."""

from migrations.revisions import run_sql_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql_file("0005_outbox_batches.up.sql")


def downgrade() -> None:
    run_sql_file("0005_outbox_batches.down.sql")
