"""The audit log over HTTP: pages of events, an export of any size, and the verification of the chains."""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.security import HTTPBearer

from services.audit.verification import verifying_chains
from services.audit.views import Verification
from shared.audit_log.exporting import NDJSON, Readers, streamed
from shared.audit_log.routes import log_routes
from shared.database import Pool
from shared.http.callers import find_caller
from shared.http.probes import Health, Probe, probe_routes
from shared.http.problems import documented, install_problems
from shared.http.secure_headers import SecuredApi
from shared.security import Role
from shared.sessions import Sessions
from shared.subscriptions import Subscriptions

PROGRESS_ROWS = 10_000


def create_api(
    pool: Pool,
    kafka: Probe,
    long_readings_max: int = 1,
    consumers: Subscriptions | None = None,
    sessions: Sessions | None = None,
    login: Probe | None = None,
) -> FastAPI:
    """The service's HTTP application; without `sessions`, only tokens are taken."""
    api = SecuredApi(
        title="Offers audit",
        version="1.0.0",
        description="Every decision and every change, newest first, in hash chains.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    install_problems(api)
    readers = Readers(pool, long_readings_max)

    async def viewer(request: Request, _: Annotated[object, Depends(HTTPBearer(auto_error=False))]) -> None:
        await find_caller(request, pool, sessions, Role.viewer, secure=request.url.scheme == "https")

    for routes in (
        log_routes(readers, "/audit", viewer),
        _verification_routes(readers, viewer),
        probe_routes(Health(pool, kafka, consumers, login=login)),
    ):
        api.include_router(routes)
    return api


def _verification_routes(readers: Readers, viewer: Any) -> APIRouter:
    denied = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    routes = APIRouter(tags=["audit"], dependencies=[Depends(viewer)], responses=denied)

    @routes.get(
        "/audit/verify",
        response_model=Verification,
        responses={200: {"content": {NDJSON: {}}}, **documented(HTTPStatus.SERVICE_UNAVAILABLE)},
        operation_id="verify_chains",
    )
    async def verify(request: Request) -> Response:
        """Recompute every hash of every chain, and name the rows that don't hold. Asked for application/x-ndjson, it
        tells now and then how many rows it has read of about how many (`rows`, `rows_expected`); the last line is the
        answer."""
        lines = _verification(readers)
        if NDJSON in request.headers.get("accept", ""):
            return await streamed(lines, NDJSON)
        return Response([line async for line in lines][-1], media_type="application/json")

    return routes


async def _verification(readers: Readers) -> AsyncGenerator[bytes]:
    async with readers.long_reading() as connection:
        yield b""
        told = 0
        async for found in verifying_chains(connection):
            if found.rows - told >= PROGRESS_ROWS:
                told = found.rows
                yield orjson.dumps({"rows": found.rows, "rows_expected": found.rows_expected}) + b"\n"
    yield Verification.of(found).model_dump_json().encode() + b"\n"
