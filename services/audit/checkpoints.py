"""Where a chain goes on after its older months were dropped, signed off by whoever dropped them. Pure.

A checkpoint keeps the hash of the last row dropped: the next row's hash covers it, so a changed one breaks the
chain at that row. Its seal covers the rest of it and the chain's checkpoint before it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import attrgetter

import orjson

from services.audit.chain import BrokenLink, Head


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The end of what was dropped of a chain: its last row, and how many rows went this time.

    `before_month`: the first month kept, by its first day. `verified`: nothing of what went was broken. The time is
    microseconds since 1970.
    """

    chain: int
    sequence: int
    hash: bytes
    rows_dropped: int
    before_month: date
    verified: bool
    signed_off_by: str
    signed_off_at_us: int

    @property
    def head(self) -> Head:
        """Where verification starts."""
        return Head(self.sequence, self.hash)

    def seal(self, previous: bytes) -> bytes:
        """SHA-256 over the seal before it (or the genesis) and everything it says."""
        content = orjson.dumps(
            {
                "before_month": self.before_month,
                "chain": self.chain,
                "hash": self.hash.hex(),
                "rows_dropped": self.rows_dropped,
                "sequence": self.sequence,
                "signed_off_at_us": self.signed_off_at_us,
                "signed_off_by": self.signed_off_by,
                "verified": self.verified,
            }
        )
        return hashlib.sha256(previous + content).digest()


@dataclass(frozen=True, slots=True)
class Sealed:
    """A checkpoint as stored, with its seal."""

    checkpoint: Checkpoint
    seal: bytes


def first_seal(chain: int) -> bytes:
    """What a chain's first checkpoint is sealed with; each chain's is its own."""
    return hashlib.sha256(b"offers audit checkpoints of chain %d" % chain).digest()


def broken_seals(stored: Iterable[Sealed]) -> list[BrokenLink]:
    """Checkpoints, given in chain and sequence order, that are not what was signed off."""
    broken = []
    for chain, sealed in groupby(stored, key=attrgetter("checkpoint.chain")):
        previous = first_seal(chain)
        for each in sealed:
            if each.checkpoint.seal(previous) != each.seal:
                problem = "its checkpoint is not what was signed off, or the one before it is missing"
                broken.append(BrokenLink(chain, each.checkpoint.sequence, None, problem))
            previous = each.seal
    return broken


def starts(stored: Iterable[Sealed]) -> dict[int, Head]:
    """Where the verification of each chain with a checkpoint starts: at its last one."""
    return {each.checkpoint.chain: each.checkpoint.head for each in stored}
