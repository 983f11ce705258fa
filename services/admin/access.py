"""Who calls: the caller behind a request, held to the role a route needs."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from shared.database import Pool
from shared.security import Caller, Role, authenticate

_bearer = HTTPBearer(auto_error=False, description="an API token")


class Access:
    """Makes the dependencies by which routes learn their caller."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def caller(self, needed: Role) -> Callable[..., Awaitable[Caller]]:
        """A dependency: the caller, whose role must be at least the needed one."""

        async def caller(request: Request, _: Annotated[object, Depends(_bearer)]) -> Caller:
            address = request.client.host if request.client else None
            return await authenticate(self._pool, request.headers.get("authorization"), needed, address)

        return caller
