"""Drafts of edits with their undo steps, the versions an offer had, and rules that are switched off."""

from migrations.revisions import run_sql_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql_file("0012_drafts.up.sql")


def downgrade() -> None:
    run_sql_file("0012_drafts.down.sql")
