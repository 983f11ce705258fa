"""Passwords of the admin page: which are good enough, and how they are hashed and checked (Argon2id)."""

import asyncio
import secrets
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 200
DIFFERENT_MIN: Final = 5
AT_ONCE: Final = 2
"""Each hash takes 64 MB and a tenth of a second of a core."""

_hasher: Final = PasswordHasher()


def weakness(name: str, password: str) -> str | None:
    """Why this is no password for this user; None where it will do."""
    if len(password) < LENGTH_MIN:
        return f"at least {LENGTH_MIN} characters are needed"
    if len(password) > LENGTH_MAX:
        return f"at most {LENGTH_MAX} characters are possible"
    if len(set(password)) < DIFFERENT_MIN:
        return f"at least {DIFFERENT_MIN} different characters are needed"
    if name.lower() in password.lower():
        return "the name must not be part of it"
    return None


def generated_password() -> str:
    """A password no one can guess, in groups that people can copy."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(5))


class Passwords:
    """Hashes and checks passwords off the event loop, a few at a time: otherwise logins could take all memory."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)

    async def hash(self, password: str) -> str:
        """What is stored of a password."""
        async with self._places:
            return await asyncio.to_thread(_hasher.hash, password)

    async def fits(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; it takes as long where there is none because nobody has the name."""
        async with self._places:
            return await asyncio.to_thread(_fits, stored, password)

    @staticmethod
    def is_outdated(stored: str) -> bool:
        """Whether the hash was made in another way than hashes are made now."""
        return _hasher.check_needs_rehash(stored)


@cache
def _hash_of_nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(32))


def _fits(stored: str | None, password: str) -> bool:
    of_nobody = _hash_of_nobody()  # Made whoever comes first, so that the first tells nothing by its time.
    try:
        return _hasher.verify(stored or of_nobody, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
