"""Passwords of the admin page: which are good enough, and how they are hashed and checked (Argon2id)."""

import asyncio
import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 200
DIFFERENT_MIN: Final = 5
AT_ONCE: Final = 2
"""Each hash takes 64 MB and a tenth of a second of a core."""


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

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """With argon2-cffi's own costs, unless told others."""
        self._hasher = hasher or PasswordHasher()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._hash_of_nobody = ""

    async def hash(self, password: str) -> str:
        """What is stored of a password."""
        async with self._places:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def fits(self, stored: str | None, password: str) -> bool:
        """Whether this is the password; it takes as long where there is none because nobody has the name."""
        # Made whoever comes first, so that the first one tells nothing by its time.
        self._hash_of_nobody = self._hash_of_nobody or await self.hash(secrets.token_urlsafe(32))
        async with self._places:
            verified = await asyncio.to_thread(self._verify, stored or self._hash_of_nobody, password)
        return verified and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether the hash was made in another way than hashes are made now."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False
