"""What the routes share: the version a request states, and refusals as problems."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Final, NoReturn, assert_never

from fastapi import Header

from services.admin.content import FieldProblem
from services.admin.editing import (
    CodeTaken,
    LimitBelowUsage,
    NotAllowedNow,
    OfferNotFound,
    Refusal,
    StaleVersion,
)
from services.admin.models import INTEGER_MAX, Offer
from shared.http.problems import FieldError, Refused, invalid, refuse

IfMatch = Annotated[str | None, Header(description='the version the change was made from, as the ETag: "3"')]

_ETAG: Final = re.compile(r'"([1-9][0-9]{0,9})"', re.ASCII)


def etag(offer: Offer) -> str:
    """The offer's version as an entity tag."""
    return f'"{offer.version}"'


def stated_version(in_body: int | None, if_match: str | None) -> int | None:
    """The version a writer states, in the body or as If-Match.

    Raises:
        Refused: if If-Match is no version, or the two differ.
    """
    if if_match is None:
        return in_body
    found = _ETAG.fullmatch(if_match.strip())
    version = int(found[1]) if found else 0
    if not 1 <= version <= INTEGER_MAX:
        refuse(HTTPStatus.BAD_REQUEST, 'If-Match must be the ETag of one version, like "3"')
    if in_body not in (None, version):
        refuse(HTTPStatus.BAD_REQUEST, "If-Match and the body state different versions")
    return version


def granted(outcome: Offer | Refusal) -> Offer:
    """The changed offer.

    Raises:
        Refused: if the change was refused.
    """
    return outcome if isinstance(outcome, Offer) else explain_refusal(outcome)


def explain_refusal(refusal: Refusal) -> NoReturn:
    """End the request with the problem a refusal is to its caller.

    Raises:
        Refused: always.
    """
    match refusal:
        case OfferNotFound():
            refuse(HTTPStatus.NOT_FOUND, "there is no such offer")
        case StaleVersion(stated, current):
            _conflict("stale-version", f"the offer has version {current} by now, not {stated}: read it again")
        case NotAllowedNow(action, status):
            _conflict("not-allowed-now", f"{action} is not possible: the offer's status is {status}")
        case CodeTaken(code):
            _conflict("code-taken", f"another offer has the code {code}", "code")
        case LimitBelowUsage(field, limit):
            used = "the offer has been used" if field == "total_usage_limit" else "one user has used the offer"
            _conflict("limit-below-usage", f"{used} more often than {limit} times already", field)
        case _:
            assert_never(refusal)


def refusal_text(refusal: Refusal) -> str:
    """What a refusal says."""
    try:
        explain_refusal(refusal)
    except Refused as refused:
        return refused.problem.detail


def wrong_fields(problems: Sequence[FieldProblem]) -> Refused:
    """What is wrong with which field, as a problem."""
    return invalid(*(FieldError(field=problem.field, message=problem.message) for problem in problems))


def _conflict(name: str, detail: str, field: str | None = None) -> NoReturn:
    errors = [FieldError(field=field, message=detail)] if field else None
    refuse(HTTPStatus.CONFLICT, detail, type=f"urn:offers:problem:{name}", errors=errors)
