"""Runs the HTTP application in the service's own event loop; signals stay the service's."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Generator

import uvicorn
from fastapi import FastAPI

from shared.errors import ConfigurationError, OffersError
from shared.settings import HttpSettings
from shared.telemetry import get_logger

DRAIN_S_MAX = 5
"""How long answers under way may take once the service stops."""

log = get_logger(__name__)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(api: FastAPI, settings: HttpSettings) -> AsyncGenerator[asyncio.Task[None]]:
    """Answer while the block runs; the task ends early only if the server does. Leaving ends in bounded time.

    Raises:
        ConfigurationError: if the address can't be listened on.
    """
    server = _Server(
        uvicorn.Config(
            api,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=DRAIN_S_MAX,
        )
    )
    listening = _listen(settings)
    log.info("http listening", action="http.listening", port=listening.getsockname()[1])
    running = asyncio.create_task(server.serve([listening]))
    try:
        yield running
    finally:
        server.should_exit = True
        await running


async def run_until(stop: asyncio.Event, running: asyncio.Task[None]) -> None:
    """Return once told to stop.

    Raises:
        OffersError: if the HTTP server ended by itself.
    """
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, running}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not stop.is_set():
        raise OffersError("the HTTP server ended by itself")


def _listen(settings: HttpSettings) -> socket.socket:
    host, port = settings.http_host, settings.http_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(f"OFFERS_HTTP_HOST, OFFERS_HTTP_PORT: {host}:{port}: {error}") from error
