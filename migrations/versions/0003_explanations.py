"""What a user still lacks, in words; operators' names for it; and wording alone no longer raises a rules version."""

from migrations.revisions import run_sql_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql_file("0003_explanations.up.sql")


def downgrade() -> None:
    run_sql_file("0003_explanations.down.sql")
