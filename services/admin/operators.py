"""Operators' names over HTTP: what explanations call the operators that rules and topups know by id."""

from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Depends

from services.admin import store
from services.admin.access import Access
from services.admin.models import Operator, OperatorList, OperatorName
from shared.database import Pool
from shared.http.problems import documented
from shared.security import Role

_DENIED = documented(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_NAME = documented(HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)


def operator_routes(pool: Pool, access: Access) -> APIRouter:
    """Viewers read the names, editors give them."""
    routes = APIRouter(tags=["operators"], responses=_DENIED)
    viewer, editor = Depends(access.caller(Role.viewer)), Depends(access.caller(Role.editor))

    @routes.get("/api/operators", dependencies=[viewer], operation_id="list_operators")
    async def list_operators() -> OperatorList:
        """Every operator that has a name, by name."""
        return OperatorList(items=await store.list_operators(pool))

    @routes.put("/api/operators/{operator_id}", dependencies=[editor], responses=_NAME, operation_id="name_operator")
    async def name_operator(operator_id: UUID, named: OperatorName) -> Operator:
        """Give an operator a name, or another one. Explanations use it at once."""
        return await store.put_operator(pool, operator_id, named.name)

    return routes
