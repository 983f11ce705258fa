"""The stack's own admin: a user of the page and a token of the APIs, under a new secret at every start."""

from typing import Final

from services.admin.access_models import AdminUser
from services.admin.accounts import Change, change_user, create_user, find_user_named
from services.admin.passwords import Passwords
from services.admin.tokens import list_tokens, make_token, revoke_token
from shared.database import Connection
from shared.errors import OffersError
from shared.security import Caller, Role

TOKEN: Final = "embedded admin"


async def give_access(connection: Connection, user: str, secret: str) -> None:
    """Let the user sign in with the secret, and programs call with it; that of an earlier start is worth nothing.

    Raises:
        OffersError: the user can't be what it must be.
    """
    stack, passwords = Caller("offers up", Role.admin, kind="command"), Passwords()
    for token in await list_tokens(connection):
        if token.name == TOKEN and token.revoked_at is None:
            await revoke_token(connection, token.id, stack)
    await make_token(connection, TOKEN, "admin", stack, secret)
    known = await find_user_named(connection, user)
    if known is None:
        outcome: object = await create_user(connection, passwords, user, "admin", secret, stack)
    else:
        wanted = Change(role="admin", disabled=False, password=secret)
        outcome = await change_user(connection, passwords, known.id, wanted, None, stack)
    if not isinstance(outcome, AdminUser):
        raise OffersError(f"the user {user} can't be made: {outcome}")
