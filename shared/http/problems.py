"""Errors of the HTTP API as problem details (RFC 9457): one JSON shape, whatever went wrong."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NoReturn, get_args

import asyncpg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from shared.errors import NotAuthenticated, NotPermitted, OffersError, SessionsAway
from shared.rules import Rule
from shared.telemetry import get_logger

MEDIA_TYPE: Final = "application/problem+json"
GENERIC: Final = "about:blank"
"""The type of a problem that says no more than its status."""

_RULE_TYPES: Final = {get_args(kind.model_fields["rule_type"].annotation)[0] for kind in get_args(Rule)}

log = get_logger(__name__)


class FieldError(BaseModel):
    """What is wrong with one field, named as the request names it: `rules.0.params.count`."""

    field: str
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = Field(default=GENERIC, description="what programs tell problems apart by")
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = Field(default=None, description="each field that is wrong")


class Refused(OffersError):
    """A request that can't be granted; ends it with the problem."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        type: str = GENERIC,
        errors: Sequence[FieldError] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = headers
        self.problem = Problem(
            type=type,
            title=status.phrase,
            status=status,
            detail=_encodable(detail),
            errors=list(errors) if errors is not None else None,
        )


def refuse(status: HTTPStatus, detail: str, **more: Any) -> NoReturn:
    """End the request with a problem.

    Raises:
        Refused: always.
    """
    raise Refused(status, detail, **more)


def invalid(*errors: FieldError) -> Refused:
    """Fields of the request are wrong."""
    detail = "; ".join(f"{error.field}: {error.message}" if error.field else error.message for error in errors)
    return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, detail[:2000], type="urn:offers:problem:invalid", errors=errors)


def unavailable(detail: str) -> Refused:
    """The service can't answer now; trying again later may help."""
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "5"})


ProblemPage = Callable[[Request, "Refused"], Response | None]
"""Draws a problem for a person; None where the request comes from a program."""


def install_problems(api: FastAPI, page: ProblemPage = lambda *_: None) -> None:
    """Answer every error of this API with problem details, or with a page where a person asks."""

    async def expected(request: Request, error: Exception) -> Response:
        refused = _refused(error)
        return page(request, refused) or _response(refused)

    async def unexpected(request: Request, error: Exception) -> Response:
        log.error("request failed", action="http.failed", path=request.url.path, exc_info=error)
        refused = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "the request failed; the service's log says why")
        return page(request, refused) or _response(refused)

    api.add_exception_handler(Exception, unexpected)
    for kind in (
        Refused,
        NotAuthenticated,
        NotPermitted,
        SessionsAway,
        RequestValidationError,
        HTTPException,
        asyncpg.DataError,
        asyncpg.PostgresConnectionError,
        OSError,
    ):
        api.add_exception_handler(kind, expected)


def _refused(error: Exception) -> Refused:
    match error:
        case Refused():
            return error
        case NotAuthenticated():
            return Refused(HTTPStatus.UNAUTHORIZED, str(error), headers={"WWW-Authenticate": "Bearer"})
        case NotPermitted():
            return Refused(HTTPStatus.FORBIDDEN, str(error))
        case SessionsAway():
            return unavailable(str(error))
        case RequestValidationError():
            return _invalid_request(error.errors())
        case HTTPException():
            return Refused(HTTPStatus(error.status_code), str(error.detail), headers=error.headers)
        case asyncpg.DataError():
            return Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "a value is outside what the database can hold")
    log.warning("database away", action="http.database_away", error=repr(error))
    return unavailable("the database doesn't answer")


def _response(refused: Refused) -> JSONResponse:
    content = refused.problem.model_dump(exclude_none=True)
    return JSONResponse(content, refused.status, refused.headers, media_type=MEDIA_TYPE)


def _invalid_request(issues: Iterable[Any]) -> Refused:
    found = list(issues)
    for issue in found:
        if issue["type"] == "json_invalid":
            return Refused(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {issue['ctx']['error']}")
    return invalid(*(_field_error(issue) for issue in found))


def _field_error(issue: Mapping[str, Any]) -> FieldError:
    # A rule's place in the request is its number; the branch it was checked against is not part of it.
    parts = [str(part) for part in issue["loc"][1:] if part not in _RULE_TYPES]
    message = str(issue["msg"]).removeprefix("Value error, ")
    return FieldError(field=_encodable(".".join(parts)), message=_encodable(message))


def _encodable(text: str) -> str:
    # JSON can spell half a surrogate pair, which no answer can repeat.
    return text.encode("utf-8", "replace").decode()


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The `responses` argument of a route, for the OpenAPI document."""
    return {int(status): {"model": Problem, "description": status.phrase} for status in statuses}


def with_problem_media_type(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with every problem under its own media type, where FastAPI puts application/json."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if int(status) >= HTTPStatus.BAD_REQUEST:
                    response["content"] = {MEDIA_TYPE: response["content"]["application/json"]}
    return document
