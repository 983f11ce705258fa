"""What decisions rested on, so that they can be made again."""

from migrations.revisions import run_sql_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql_file("0009_decision_inputs.up.sql")


def downgrade() -> None:
    run_sql_file("0009_decision_inputs.down.sql")
