"""The audit log and the decisions on requests, over the admin's HTTP API."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends

from services.admin import history
from services.admin.access import Access
from services.admin.history_models import RequestDecision
from shared.audit_log.exporting import Readers
from shared.audit_log.routes import log_routes
from shared.database import Pool
from shared.http.problems import documented, refuse
from shared.security import Role


def history_routes(pool: Pool, access: Access, exports_max: int) -> APIRouter:
    """What viewers may ask of the past; at most `exports_max` exports run at once."""
    viewer = access.caller(Role.viewer)

    async def entities_of(request_id: UUID) -> tuple[UUID, ...]:
        return await history.entities_of(pool, request_id)

    routes = APIRouter()
    routes.include_router(log_routes(Readers(pool, exports_max), "/api/audit", viewer, entities_of))
    routes.include_router(_request_routes(pool, viewer))
    return routes


def _request_routes(pool: Pool, viewer: Any) -> APIRouter:
    denied = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
    routes = APIRouter(tags=["audit"], dependencies=[Depends(viewer)], responses=denied)

    @routes.get(
        "/api/requests/{request_id}",
        responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
        operation_id="get_decision",
    )
    async def get_decision(request_id: UUID) -> RequestDecision:
        """What was decided on a request, and why."""
        found = await history.find_decision(pool, request_id)
        return found or refuse(HTTPStatus.NOT_FOUND, "no decision on this request is known")

    return routes
