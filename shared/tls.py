"""TLS as a client: certificates are read anew when their files change, and failures are put into words."""

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from shared.errors import ConfigurationError

_NAME_MISMATCHES: Final = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_EXPIRED: Final = 10
_OURS_REFUSED: Final = (
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_HANDSHAKE_FAILURE",
    "CERTIFICATE_REQUIRED",
)


@dataclass(frozen=True, slots=True)
class Files:
    """Whom to trust (None: the system's CAs), and who we are; PEM."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    def state(self) -> tuple[tuple[int, int, int] | None, ...]:
        """Changes whenever one of the files does, by renaming or by writing.

        Raises:
            OSError: one of them is not there.
        """
        return tuple(_state(path) for path in (self.ca, self.certificate, self.key))


def _state(path: str | None) -> tuple[int, int, int] | None:
    if path is None:
        return None
    found = os.stat(path)
    return found.st_mtime_ns, found.st_ino, found.st_size


class RotatingContext(ssl.SSLContext):
    """Verifies the server and its name. A connection made after a file was replaced uses the new one.

    A CA that the file no longer holds stays trusted until the process ends: OpenSSL can only add.
    """

    files: Files
    _loaded: object = None

    def wrap_bio(self, *arguments: Any, **more: Any) -> ssl.SSLObject:
        """What asyncio calls for each connection."""
        self.load()
        return super().wrap_bio(*arguments, **more)

    def load(self) -> None:
        """Read the files if they have changed.

        Raises:
            OSError: one of them is not there, or is no certificate or key.
        """
        state = self.files.state()
        if state == self._loaded:
            return
        if self.files.ca is not None:
            self.load_verify_locations(cafile=self.files.ca)
        if self.files.certificate is not None:
            self.load_cert_chain(self.files.certificate, self.files.key)
        self._loaded = state


def rotating_context(files: Files, setting: str) -> RotatingContext:
    """A context on these files; `setting` begins the names of the settings they are from.

    Raises:
        ConfigurationError: a file can't be read; names its setting.
    """
    names = {"CAFILE": files.ca, "CERTFILE": files.certificate, "KEYFILE": files.key}
    for name, path in names.items():
        _check_readable(f"{setting}_{name}", path)
    if files.key is not None and files.certificate is None:
        raise ConfigurationError(f"{setting}_CERTFILE: is not set, but {setting}_KEYFILE is")
    context = RotatingContext(ssl.PROTOCOL_TLS_CLIENT)
    context.files = files
    if files.ca is None:
        context.load_default_certs()
    try:
        context.load()
    except OSError as error:
        which = ", ".join(f"{setting}_{name}" for name, path in names.items() if path is not None)
        raise ConfigurationError(f"{which}: no certificates or not the key of one: {error}") from error
    return context


def _check_readable(setting: str, path: str | None) -> None:
    try:
        if path is not None:
            Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{setting}: {path}: {error.strerror}") from error


class Failure(Enum):
    """What kind of TLS failure it was: what to look at."""

    ca = "the server's certificate is not trusted"
    name = "the server's certificate is for another name"
    expired = "the server's certificate has expired"
    ours = "the server refuses our certificate, or wants one"
    protocol = "no TLS was agreed on"


def tls_failure(error: BaseException) -> tuple[Failure, str] | None:
    """The TLS failure in an error, or in what it came of, and one line about it; None if there is none."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            kind = _kind_of_refusal(cause.verify_code)
            return kind, f"{kind.value}: {cause.verify_message.rstrip('.')}"
        if isinstance(cause, ssl.SSLError):
            reason = cause.reason or str(cause)
            kind = Failure.ours if any(name in reason for name in _OURS_REFUSED) else Failure.protocol
            return kind, f"{kind.value}: {reason}"
    return None


def _kind_of_refusal(code: int) -> Failure:
    if code in _NAME_MISMATCHES:
        return Failure.name
    return Failure.expired if code == _EXPIRED else Failure.ca


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came of, the nearest first."""
    found: BaseException | None = error
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__
