"""Runs as a program: binds this process's life to its parent's, drops root if asked, then becomes the server.

Usage: launch.py PARENT_PID DEATH_SIGNAL ACCOUNT|- PROGRAM_PATH [ARGUMENT…]. It imports nothing of the project
and starts under `python -I -S`, so it costs a few milliseconds and does nothing between fork and exec in
the parent, where other threads' locks may be held.
"""

import ctypes
import os
import pwd
import sys

_PR_SET_PDEATHSIG = 1
_CANNOT_START = 127


def _become(account: str) -> None:
    entry = pwd.getpwnam(account)
    os.initgroups(account, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _die_with(parent_pid: int, death_signal: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent_pid:  # The parent died before the signal was armed.
        raise SystemExit(_CANNOT_START)


def main(arguments: list[str]) -> None:
    """Replace this process by the program named in the arguments."""
    parent_pid, death_signal, account, *argv = arguments
    if account != "-":
        _become(account)  # From here on Python's own library may be out of reach: import nothing more.
    _die_with(int(parent_pid), int(death_signal))  # After the change of user, which would disarm it.
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error}\n")
        raise SystemExit(_CANNOT_START) from error


if __name__ == "__main__":
    main(sys.argv[1:])
