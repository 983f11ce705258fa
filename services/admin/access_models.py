"""What the access API takes and gives: admin users, API tokens, and the caller's own session."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from services.admin.models import INTEGER_MAX
from services.admin.passwords import LENGTH_MAX, LENGTH_MIN
from shared.events.fields import Moment

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$"
RoleName = Literal["viewer", "editor", "admin"]
UserName = Annotated[
    str,
    StringConstraints(pattern=NAME_PATTERN),
    Field(description="letters, digits and . _ @ + -; unique in any case", examples=["maria"]),
]
TokenName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$"),
    Field(description="what uses it", examples=["nightly report"]),
]
Password = Annotated[
    SecretStr,
    Field(
        min_length=LENGTH_MIN,
        max_length=LENGTH_MAX,
        description=f"{LENGTH_MIN} characters or more",
        examples=["correct horse battery"],
    ),
]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AdminUser(BaseModel):
    """Somebody who may sign in, or could until they were disabled."""

    id: UUID
    name: UserName
    role: RoleName
    version: int = Field(description="raised by every change; a change must be made from the newest")
    created_by: str | None = Field(description="who added them")
    created_at: Moment
    disabled_at: Moment | None = Field(description="null: they may sign in")
    password_changed_at: Moment


class AdminUserList(BaseModel):
    """Everybody, by name."""

    items: list[AdminUser]


class NewAdminUser(_Input):
    """Somebody who shall sign in."""

    name: UserName
    role: RoleName
    password: Password | None = Field(default=None, description="made up, and told once, where none is given")


class CreatedAdminUser(AdminUser):
    """A new user, with the password if it was made up."""

    password: str | None = Field(description="told this once; null where it was given")


class AdminUserChange(_Input):
    """What is to change about a user; what is left out stays. Their sessions end."""

    role: RoleName | None = None
    disabled: bool | None = Field(default=None, description="true: they can't sign in any more")
    password: Password | None = Field(default=None, description="a new password")
    version: int | None = Field(default=None, ge=1, le=INTEGER_MAX, description="the version the change was made from")


class Token(BaseModel):
    """A bearer token of the APIs."""

    id: UUID
    name: str
    role: RoleName
    created_by: str | None = Field(description="who made it")
    created_at: Moment
    last_used_at: Moment | None = Field(description="to a few minutes; null: never")
    revoked_at: Moment | None = Field(description="null: it is valid")


class TokenList(BaseModel):
    """Every token, valid ones first, newest first."""

    items: list[Token]


class NewToken(_Input):
    """A token to be made."""

    name: TokenName
    role: RoleName


class CreatedToken(Token):
    """A new token, which is told this once."""

    token: str = Field(examples=["ofr_2nVJqW0r4hS7cX9pLm3kTzYbAeUdGfRi1oQwEsDvHtM"])


class CurrentSession(BaseModel):
    """Who is calling."""

    name: str
    role: RoleName
    kind: Literal["token", "user", "command"] = Field(description="a program's token, or somebody who signed in")
    csrf_token: str | None = Field(
        description="what writes must carry as X-CSRF-Token; null for tokens, which need none"
    )


class PasswordChange(_Input):
    """One's own password."""

    current: SecretStr = Field(max_length=LENGTH_MAX)
    new: Password
