"""What browsers are told with every answer: load nothing from elsewhere, show it in no frame, keep no copy."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " object-src 'none'"
)
_ALWAYS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HTTPS_ONLY: Final = "max-age=31536000"


class SecureHeaders:
    """Adds the headers to every answer that doesn't say otherwise itself."""

    def __init__(self, app: ASGIApp, is_https: Callable[[Scope], bool]) -> None:
        self._app = app
        self._is_https = is_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
                if self._is_https(scope):
                    headers.setdefault("Strict-Transport-Security", _HTTPS_ONLY)
            await send(message)

        await self._app(scope, receive, with_headers)


def is_https(scope: Scope) -> bool:
    """Whether the request came by HTTPS, as far as the server knows."""
    return bool(scope.get("scheme") == "https")


class SecuredApi(FastAPI):
    """An application whose every answer has the headers: also the one to an unexpected error, which Starlette gives
    outside all middleware that can be added."""

    def __init__(self, reached_by_https: Callable[[Scope], bool] = is_https, **options: Any) -> None:
        super().__init__(**options)
        self._reached_by_https = reached_by_https

    def build_middleware_stack(self) -> ASGIApp:
        """The application as the server calls it."""
        return SecureHeaders(super().build_middleware_stack(), self._reached_by_https)
