"""Serves the page's own modules and what the build fetched; a file's address changes with its content."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Final

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

FOLDER: Final = Path(__file__).parents[1] / "assets"
FOREVER: Final = "public, max-age=31536000, immutable"


class _Versioned(StaticFiles):
    def file_response(self, *args: Any, **more: Any) -> Response:
        response = super().file_response(*args, **more)
        response.headers["Cache-Control"] = FOREVER
        return response


def asset_files() -> ASGIApp:
    """The application under /assets."""
    return GZipMiddleware(_Versioned(directory=FOLDER), minimum_size=1_000)


@cache
def asset_url(name: str) -> str:
    """The address of a file under assets/, with a digest of its content: browsers may keep it for good.

    Raises:
        FileNotFoundError: if there is no such file; `make install` builds those under vendor/.
    """
    digest = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:12]
    return f"/assets/{name}?v={digest}"
