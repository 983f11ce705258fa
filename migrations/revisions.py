"""Runs the migrations: up to the newest revision, or down to an earlier one."""

from pathlib import Path
from urllib.parse import urlsplit

from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory

_FOLDER = Path(__file__).parent


def sqlalchemy_url(database_url: str) -> str:
    """The same URL naming psycopg as the driver. SQLAlchemy wants several hosts elsewhere than others do."""
    _, _, rest = database_url.partition("://")
    place = urlsplit(database_url)
    hosts = place.netloc.rpartition("@")[2]
    if "," not in hosts:
        return f"postgresql+psycopg://{rest}"
    query = "&".join([*(f"host={host}" for host in hosts.split(",")), *filter(None, [place.query])])
    return f"postgresql+psycopg://{place.netloc.removesuffix(hosts)}{place.path}?{query}"


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["database_url"] = database_url
    return config


def revisions() -> list[str]:
    """Every revision, oldest first."""
    scripts = ScriptDirectory.from_config(_config(""))
    return [script.revision for script in reversed(list(scripts.walk_revisions()))]


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate up to a revision; does nothing where the database is there already."""
    command.upgrade(_config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Migrate down to a revision, `base` being the empty database."""
    command.downgrade(_config(database_url), revision)


def run_sql_file(name: str) -> None:
    """Run one file of migrations/sql on the migration's connection, all its statements at once."""
    sql = (_FOLDER / "sql" / name).read_text(encoding="utf-8")
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.execute(sql)
