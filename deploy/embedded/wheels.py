"""Finds the server programs inside the wheels of the `embedded` extra, without importing those packages."""

import importlib.util
from pathlib import Path

from deploy.embedded.errors import MissingRequirement


def program(package: str, *parts: str) -> Path:
    """The path of a file inside an installed package.

    Raises:
        MissingRequirement: if the package, or the file in it, is not installed.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(folder, *parts)
        if found.is_file():
            return found
    raise MissingRequirement(f"{'/'.join((package, *parts))} is not installed: pip install 'offers[embedded]'")
