"""The command line: `offers COMMAND`."""

from deploy.cli.failures import explained


def main() -> None:
    """Run the command the arguments name."""
    from deploy.cli.app import app

    explained(app)
