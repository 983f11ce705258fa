"""What refusals concerning access are to the caller: a problem of the API, and words beside a field of a form."""

from http import HTTPStatus
from typing import NoReturn, assert_never

from services.admin.accounts import (
    AccountRefusal,
    LastAdmin,
    NameTaken,
    StaleUser,
    UserNotFound,
    WeakPassword,
    WrongPassword,
)
from services.admin.attempts import TooManyAttempts
from shared.http.problems import FieldError, invalid, refuse

AccessRefusal = AccountRefusal | TooManyAttempts


def in_words(refusal: AccessRefusal) -> tuple[str, str]:
    """The field a refusal is about (empty: none), and what is to be said."""
    match refusal:
        case UserNotFound():
            return "", "There is no such user."
        case NameTaken(name):
            return "name", f"Somebody is called {name} already."
        case WeakPassword(why):
            return "password", f"The password won't do: {why}."
        case StaleUser():
            return "", "Somebody else has changed this user meanwhile: look again."
        case LastAdmin(name):
            return "", f"{name} is the last admin who can sign in: make somebody else an admin first."
        case WrongPassword():
            return "current", "This is not your current password."
        case TooManyAttempts(retry_after_s):
            return "", f"Too many attempts. Try again in {_minutes(retry_after_s)}."
        case _:
            assert_never(refusal)


def explain_refusal(refusal: AccessRefusal, password_field: str = "password") -> NoReturn:
    """End the request with the problem a refusal is.

    Raises:
        Refused: always.
    """
    field, words = in_words(refusal)
    match refusal:
        case UserNotFound():
            refuse(HTTPStatus.NOT_FOUND, words)
        case WeakPassword():
            raise invalid(FieldError(field=password_field, message=words))
        case WrongPassword():
            raise invalid(FieldError(field=field, message=words))
        case TooManyAttempts(retry_after_s):
            refuse(HTTPStatus.TOO_MANY_REQUESTS, words, headers={"Retry-After": str(retry_after_s)})
        case NameTaken():
            _conflict("name-taken", words, field)
        case StaleUser():
            _conflict("stale-version", words)
        case LastAdmin():
            _conflict("last-admin", words)
        case _:
            assert_never(refusal)


def _conflict(name: str, detail: str, field: str | None = None) -> NoReturn:
    errors = [FieldError(field=field, message=detail)] if field else None
    refuse(HTTPStatus.CONFLICT, detail, type=f"urn:offers:problem:{name}", errors=errors)


def _minutes(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return "a minute" if minutes == 1 else f"{minutes} minutes"
