"""What the forms about access have in common: the roles to choose from, and errors beside their fields."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import Form
from pydantic import BaseModel, ValidationError

ROLES: Final = {
    "viewer": "sees offers, users and the audit log, changes nothing",
    "editor": "makes, changes and publishes offers too",
    "admin": "gives and takes access too",
}
TYPED_MAX: Final = 1_000
Typed = Annotated[str, Form(max_length=TYPED_MAX)]
"""What somebody typed: checked by the model it becomes, so that errors stand beside the field."""


def wrong_fields(model: type[BaseModel], typed: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
    """For each field that is wrong, what to say about it."""
    try:
        model.model_validate(typed)
    except ValidationError as error:
        fields = [str(issue["loc"][0]) for issue in error.errors(include_input=False)]
        return {field: words[field] for field in fields}
    return {}
