"""Asks the service in this container how it is: the image's health check, since the image has no curl.

It imports little, as it runs every few seconds: python -m deploy.docker.probe /readyz
"""

import http.client
import os
import sys
from typing import Final

TIMEOUT_S: Final = 4.0


def main(path: str) -> int:
    """0 if the service answers 200 on this path; otherwise 1, and what it said is printed."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["OFFERS_HTTP_PORT"]), timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        said = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        said, healthy = repr(error), False
    else:
        healthy = response.status == http.client.OK
    finally:
        connection.close()
    sys.stdout.write(said)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
