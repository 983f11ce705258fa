"""`offers` commands as a person runs them, in this process."""

import asyncio

from typer.testing import CliRunner

from deploy.cli.app import app


async def offers(database_url: str, *arguments: str, stdin: str | None = None) -> str:
    """What a command prints, run as in a process of its own: another thread, another event loop."""

    def run() -> str:
        result = CliRunner().invoke(app, list(arguments), stdin, env={"OFFERS_DATABASE_URL": database_url})
        assert result.exit_code == 0, result.output
        return result.stdout

    return await asyncio.to_thread(run)
