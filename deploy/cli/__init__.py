"""The command line: `offers COMMAND`."""

import os
import signal
import sys

from deploy.cli.failures import explained

EXIT_TERMINATED = 128 + signal.SIGTERM


def main() -> None:
    """Run the command the arguments name."""
    if os.getpid() == 1:  # A container's first process: without a handler, Linux keeps SIGTERM from it.
        signal.signal(signal.SIGTERM, _end)
    from deploy.cli.app import app

    explained(app)


def _end(*_: object) -> None:
    sys.exit(EXIT_TERMINATED)
