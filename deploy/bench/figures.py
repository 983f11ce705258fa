"""Figures as a benchmark prints them."""

from typing import Any, Final

DECIMALS: Final = 3


def rounded(value: Any) -> Any:
    """The value with floats rounded, in lists and objects too; all else as it is."""
    match value:
        case float():
            return round(value, DECIMALS)
        case list():
            return [rounded(item) for item in value]
        case dict():
            return {name: rounded(item) for name, item in value.items()}
        case _:
            return value
