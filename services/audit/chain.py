"""The hash chain of the audit log: a row's hash covers the hash before it and everything the row says.

Pure. What is hashed is canonical JSON, the same before a row is stored and after it was read back from
jsonb: keys sorted, every number exact in plain decimal notation, text as UTF-8. Changing, removing or
moving a row breaks the chain at that place. Whoever can rewrite a whole chain and its recorded head can
forge it; heads kept elsewhere (GET /audit/verify reports them) show that too.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from uuid import UUID

import orjson

HASH_BYTES: Final = 32
_INTEGERS_ORJSON_WRITES: Final = range(-(2**63), 2**64)
_WRITTEN_AS_IS: Final = frozenset({str, bool, type(None)})


@dataclass(frozen=True, slots=True)
class Head:
    """The last link of a chain; sequence 0 is the genesis, before any row."""

    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One event at its place in a chain: every column of audit_log but the hash.

    `data` is canonical JSON. Times are microseconds since 1970, None where the row holds no such time.
    """

    chain: int
    sequence: int
    event_id: UUID
    type: str
    actor: str
    entity_type: str
    entity_id: UUID
    offer_id: UUID | None
    user_id: UUID | None
    occurred_at_us: int | None
    data: bytes
    recorded_at_us: int | None

    def content(self) -> bytes:
        """What is hashed: the columns as one JSON object, keys sorted."""
        return orjson.dumps(
            {
                "actor": self.actor,
                "chain": self.chain,
                "data": orjson.Fragment(self.data),
                "entity_id": self.entity_id,
                "entity_type": self.entity_type,
                "event_id": self.event_id,
                "occurred_at_us": self.occurred_at_us,
                "offer_id": self.offer_id,
                "recorded_at_us": self.recorded_at_us,
                "sequence": self.sequence,
                "type": self.type,
                "user_id": self.user_id,
            },
            default=str,  # The driver has a UUID type of its own; orjson writes Python's itself, and faster.
        )


@dataclass(frozen=True, slots=True)
class BrokenLink:
    """A place where a chain doesn't hold; `event_id` is None where no row stands."""

    chain: int
    sequence: int
    event_id: UUID | None
    problem: str


def genesis(chain: int) -> Head:
    """Where a chain begins; each chain elsewhere, so that none can be passed off as another."""
    return Head(0, hashlib.sha256(b"offers audit chain %d" % chain).digest())


def link(previous_hash: bytes, content: bytes) -> bytes:
    """The hash of a row: SHA-256 over the hash before it (of fixed length) and its content."""
    return hashlib.sha256(previous_hash + content).digest()


def canonical_json(value: object) -> bytes:
    """A JSON value (Decimals allowed) in the one form that is hashed.

    Raises:
        ValueError: for what JSON can't hold: NaN, infinities, lone surrogates, other types.
    """
    try:
        return orjson.dumps(_exact(value), option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise ValueError(f"not a JSON value: {error}") from error


def canonical_stored(text: str) -> bytes:
    """The canonical form of a jsonb value read as text; its numbers are never rounded."""
    return canonical_json(json.loads(text, parse_float=Decimal, parse_int=Decimal))


def _exact(value: object) -> object:
    """The value with each number that libraries write differently replaced by its canonical text."""
    kind = type(value)
    if kind in _WRITTEN_AS_IS:
        return value
    # Most items are texts: not calling for each of them halves the time of hashing.
    if isinstance(value, dict):
        if _WRITTEN_AS_IS.issuperset(map(type, value.values())):
            return value
        return {key: item if type(item) in _WRITTEN_AS_IS else _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [item if type(item) in _WRITTEN_AS_IS else _exact(item) for item in value]
    if kind is int and value in _INTEGERS_ORJSON_WRITES:
        return value
    if isinstance(value, int | float | Decimal):
        return orjson.Fragment(_plain_decimal(value))
    return value


def _plain_decimal(number: float | Decimal) -> str:
    """The shortest plain decimal notation: no exponent, no trailing zeros, no negative zero."""
    exact = number if isinstance(number, Decimal) else Decimal(str(number))
    if not exact.is_finite():
        raise ValueError(f"{number} is not a JSON number")
    text = format(exact, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


class ChainVerifier:
    """Walks rows in chain and sequence order and says where a chain doesn't hold.

    After a broken place it goes on from what is stored there, so each break is named once.
    """

    def __init__(self, heads: Mapping[int, Head], starts: Mapping[int, Head]) -> None:
        """`heads` are the recorded ends of the chains, read in the same snapshot as the rows; `starts` where those
        begin whose older rows were dropped: after this link, not after the genesis."""
        self._heads = heads
        self.reached: dict[int, Head] = dict(starts)
        """The last link seen of each chain."""

    def check(self, entry: Entry, stored_hash: bytes) -> BrokenLink | None:
        """Judge the next row; None if it holds."""
        previous = self.reached.get(entry.chain) or genesis(entry.chain)
        self.reached[entry.chain] = Head(entry.sequence, stored_hash)
        expected = previous.sequence + 1
        if entry.sequence != expected:
            return BrokenLink(entry.chain, expected, None, _missing(expected, entry.sequence - 1))
        if link(previous.hash, entry.content()) != stored_hash:
            problem = "its content is not what was recorded, or it doesn't follow the row before it"
            return BrokenLink(entry.chain, entry.sequence, entry.event_id, problem)
        return None

    def finish(self) -> list[BrokenLink]:
        """Once every row was seen: the chains that don't end where their recorded head says."""
        broken = []
        for chain in sorted(self._heads.keys() | self.reached.keys()):
            end = self.reached.get(chain) or genesis(chain)
            recorded = self._heads.get(chain)
            if recorded is None:
                broken.append(BrokenLink(chain, end.sequence, None, "the chain has rows but no recorded head"))
            elif recorded.sequence > end.sequence:
                problem = _missing(end.sequence + 1, recorded.sequence)
                broken.append(BrokenLink(chain, end.sequence + 1, None, problem))
            elif recorded != end:
                broken.append(BrokenLink(chain, end.sequence, None, "the recorded head is not the last row"))
        return broken


def _missing(first: int, last: int) -> str:
    if first > last:
        return f"row {first} should come next, but an earlier number follows"
    return f"row {first} is missing" if first == last else f"rows {first} to {last} are missing"
