"""Free TCP ports on the loopback address for servers that other processes must find at a known place."""

import random
import socket

# Below 32768, where Linux begins to hand out ports to outgoing connections: a port from that range
# could be taken by any client between two starts of the same server.
_CANDIDATES = range(20_000, 32_000)
_ATTEMPTS = 200

_handed_out: set[int] = set()


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do, so that the closing connections of a stopped server don't count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port nobody listens on, and that this process was not given before.

    Raises:
        OSError: if no free port was found.
    """
    for _ in range(_ATTEMPTS):
        port = random.choice(_CANDIDATES)
        if port not in _handed_out and is_free(port):
            _handed_out.add(port)
            return port
    raise OSError(f"no free port on 127.0.0.1 among {_ATTEMPTS} tried")
