"""Which partition a key belongs to, as Kafka's own clients tell (murmur2), for many keys at once."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from aiokafka.partitioner import murmur2

ARRAY_MIN: Final = 12
"""Fewer keys of one length are hashed faster one by one."""

_SEED: Final = 0x9747B28C
_M: Final = np.uint32(0x5BD1E995)
_POSITIVE: Final = 0x7FFFFFFF


def partitions_of(keys: Sequence[bytes], count: int) -> list[int]:
    """The partition, of `count`, of each key."""
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        by_length[len(key)].append(place)
    found = [0] * len(keys)
    for length, places in by_length.items():
        if len(places) < ARRAY_MIN or length == 0:
            hashes = [murmur2(keys[place]) for place in places]
        else:
            hashes = murmur2_of_all([keys[place] for place in places], length).tolist()
        for place, hashed in zip(places, hashes, strict=True):
            found[place] = (hashed & _POSITIVE) % count
    return found


def murmur2_of_all(keys: Sequence[bytes], length: int) -> "np.ndarray[Any, np.dtype[np.uint32]]":
    """Murmur2 of n keys that are all `length` bytes long, (n,)."""
    padded = -length % 4
    data = np.frombuffer(b"".join(key + bytes(padded) for key in keys), dtype="<u4").reshape(len(keys), -1)
    hashed = np.full(len(keys), _SEED ^ length, dtype=np.uint32)
    for column in range(length // 4):
        word = data[:, column] * _M
        word ^= word >> np.uint32(24)
        hashed = (hashed * _M) ^ (word * _M)
    if padded:
        hashed = (hashed ^ data[:, -1]) * _M
    hashed ^= hashed >> np.uint32(13)
    hashed *= _M
    hashed ^= hashed >> np.uint32(15)
    return hashed
