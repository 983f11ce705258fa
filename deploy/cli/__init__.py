"""The command line: `offers COMMAND`."""

import os
import signal
import sys

EXIT_TERMINATED = 128 + signal.SIGTERM


def main() -> None:
    """Run the command the arguments name."""
    if os.getpid() == 1:  # A container's first process: without a handler, Linux keeps SIGTERM from it.
        signal.signal(signal.SIGTERM, _end)
    # What follows takes a while to import, and can be told to stop all the while.
    from deploy.cli.app import app
    from deploy.cli.failures import explained

    explained(app)


def _end(*_: object) -> None:
    sys.exit(EXIT_TERMINATED)
