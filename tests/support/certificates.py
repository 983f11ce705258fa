"""Certificates made for a test: a CA, and files of what it has signed, as servers and clients read them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

HOST: Final = "127.0.0.1"
LONG_AGO: Final = datetime(2001, 1, 1, tzinfo=UTC)
STILL_LONG_AGO: Final = datetime(2001, 2, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, each in a file of its own."""

    certificate: Path
    key: Path

    def put_at(self, other: "Pair") -> None:
        """Take the other's place, as a tool that rotates certificates does: by renaming, each file whole."""
        for mine, theirs in ((self.certificate, other.certificate), (self.key, other.key)):
            written = theirs.with_name(f"{theirs.name}.new")
            _write(written, mine.read_bytes())
            written.rename(theirs)

    def joined(self) -> Path:
        """Both in one file."""
        path = self.certificate.with_suffix(".joined.pem")
        _write(path, self.key.read_bytes() + self.certificate.read_bytes())
        return path


class Authority:
    """A CA whose certificate is `ca`, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        folder.chmod(0o755)  # Servers read here that run under an account of their own.
        self._folder = folder
        self._signer = trustme.CA()
        self.ca = folder / "ca.pem"
        self._signer.cert_pem.write_to_path(self.ca)

    def issue(self, name: str, host: str = HOST, *, expired: bool = False) -> Pair:
        """A certificate for a host whose subject's common name is `name`."""
        validity: dict[str, Any] = {"not_before": LONG_AGO, "not_after": STILL_LONG_AGO} if expired else {}
        issued = self._signer.issue_cert(host, common_name=name, **validity)
        stem = f"{name}{'-expired' if expired else ''}-{host}"
        pair = Pair(self._folder / f"{stem}.pem", self._folder / f"{stem}.key")
        _write(pair.certificate, b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        _write(pair.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
