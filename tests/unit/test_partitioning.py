"""Keys go to the partitions that Kafka's own clients put them in."""

import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2
from hypothesis import given
from hypothesis import strategies as st

from shared.partitioning import ARRAY_MIN, murmur2_of_all, partitions_of


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_hashes_are_those_of_the_java_client(key: bytes, hashed: int) -> None:
    assert murmur2_of_all([key, key], len(key)).tolist() == [hashed % 2**32] * 2


@given(st.integers(1, 40).flatmap(lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=1)))
def test_many_keys_hash_as_each_alone(keys: list[bytes]) -> None:
    assert murmur2_of_all(keys, len(keys[0])).tolist() == [murmur2(key) for key in keys]


@given(st.lists(st.binary(max_size=3), max_size=5 * ARRAY_MIN), st.integers(1, 12))
def test_partitions_are_those_of_the_default_partitioner(keys: list[bytes], count: int) -> None:
    every, partitioner = list(range(count)), DefaultPartitioner()
    assert partitions_of(keys, count) == [partitioner(key, every, every) for key in keys]
