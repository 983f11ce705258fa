"""One database role a service, allowed what its queries need and nothing else."""

from migrations.revisions import run_sql_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql_file("0010_roles.up.sql")


def downgrade() -> None:
    run_sql_file("0010_roles.down.sql")
