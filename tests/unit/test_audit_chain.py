"""The hash chain on its own: what is hashed, how links follow each other, and what breaks them."""

import hashlib
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.chain import (
    BrokenLink,
    ChainVerifier,
    Entry,
    Head,
    canonical_json,
    canonical_stored,
    genesis,
    link,
)

FIRST = Entry(
    chain=3,
    sequence=1,
    event_id=UUID(int=1),
    type="redemption.accepted",
    actor="checkout",
    entity_type="redemption",
    entity_id=UUID(int=2),
    offer_id=UUID(int=3),
    user_id=None,
    occurred_at_us=1_764_000_000_000_001,
    data=b'{"price":"90.00"}',
    recorded_at_us=1_764_000_000_500_000,
)
FIRST_CONTENT = (
    b'{"actor":"checkout","chain":3,"data":{"price":"90.00"},'
    b'"entity_id":"00000000-0000-0000-0000-000000000002","entity_type":"redemption",'
    b'"event_id":"00000000-0000-0000-0000-000000000001","occurred_at_us":1764000000000001,'
    b'"offer_id":"00000000-0000-0000-0000-000000000003","recorded_at_us":1764000000500000,'
    b'"sequence":1,"type":"redemption.accepted","user_id":null}'
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": {"d": 2, "c": 3}}, b'{"a":{"c":3,"d":2},"b":1}'),
        ({"é": "ü\u2028😀", "z": '"\\\n\x01\x7f/'}, '{"z":"\\"\\\\\\n\\u0001\x7f/","é":"ü\u2028😀"}'.encode()),
        ([1.0, 1.50, -0.0, 0.1, 1e2, 1e16, 5e-7], b"[1,1.5,0,0.1,100,10000000000000000,0.0000005]"),
        ([Decimal("1.500"), Decimal("1E+3"), Decimal("-0.00")], b"[1.5,1000,0]"),
        ([2**64, -(2**63) - 1, 2**64 - 1], b"[18446744073709551616,-9223372036854775809,18446744073709551615]"),
        ([True, False, None, "1.0", ""], b'[true,false,null,"1.0",""]'),
    ],
)
def test_canonical_json_has_one_form(value: Any, expected: bytes) -> None:
    assert canonical_json(value) == expected


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {"a": [float("-inf")]}, "\ud800", {1: 2}, b"bytes", Decimal("sNaN")]
)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON"):
        canonical_json(value)


@pytest.mark.parametrize(
    ("stored", "same"),
    [
        ('{"a": 1.50, "b": [1e2]}', '{"b":[100],"a":1.5}'),
        ('{"a": "\\u00e9\\/"}', '{"a":"é/"}'),
        ('{"a": 1, "a": 2}', '{"a":2}'),
        ("100000000000000000000000.10", "100000000000000000000000.1"),
    ],
)
def test_texts_of_one_value_are_one_content(stored: str, same: str) -> None:
    assert canonical_stored(stored) == canonical_stored(same)


@pytest.mark.parametrize(("one", "other"), [("1", '"1"'), ("0.1", "0.10000000000000001"), ("null", "0"), ("[]", "{}")])
def test_texts_of_other_values_are_other_contents(one: str, other: str) -> None:
    assert canonical_stored(one) != canonical_stored(other)


@given(json_values)
def test_writing_and_reading_a_value_keeps_its_content(value: Any) -> None:
    content = canonical_json(value)
    assert canonical_stored(content.decode()) == content
    assert canonical_stored(json.dumps(value, indent=1)) == content


def test_a_link_covers_the_hash_before_it_and_every_column() -> None:
    assert FIRST.content() == FIRST_CONTENT
    start = hashlib.sha256(b"offers audit chain 3").digest()
    assert genesis(3) == Head(0, start)
    expected = hashlib.sha256(start + FIRST_CONTENT).digest()
    assert link(genesis(3).hash, FIRST.content()) == expected
    assert expected.hex() == "5def3efe2891958e90082f86bad104187ac425d31ec168470a91784a94d8be0b"


def _chain(length: int, chain: int = 3) -> tuple[list[tuple[Entry, bytes]], Head]:
    head, rows = genesis(chain), []
    for sequence in range(1, length + 1):
        entry = replace(FIRST, chain=chain, sequence=sequence, event_id=UUID(int=100 + sequence))
        head = Head(sequence, link(head.hash, entry.content()))
        rows.append((entry, head.hash))
    return rows, head


def _judge(rows: list[tuple[Entry, bytes]], heads: dict[int, Head]) -> list[tuple[int, int, UUID | None]]:
    verifier = ChainVerifier(heads, {})
    found: list[BrokenLink] = [broken for row in rows if (broken := verifier.check(*row))]
    return [(broken.chain, broken.sequence, broken.event_id) for broken in [*found, *verifier.finish()]]


def test_whole_chains_hold() -> None:
    rows, head = _chain(5)
    others, other_head = _chain(2, chain=0)
    assert _judge(others + rows, {0: other_head, 3: head, 7: genesis(7)}) == []
    assert _judge([], {}) == []


@given(
    st.sampled_from(sorted(Entry.__dataclass_fields__.keys() - {"chain", "sequence"})),
    st.integers(min_value=0, max_value=4),
)
def test_a_change_of_any_column_is_named(column: str, place: int) -> None:
    changed: dict[str, Any] = {
        "data": b'{"price":"0.00"}',
        "occurred_at_us": None,
        "recorded_at_us": 1,
        "event_id": UUID(int=999),
        "entity_id": UUID(int=999),
        "offer_id": None,
        "user_id": UUID(int=999),
    }
    rows, head = _chain(5)
    entry, hash_ = rows[place]
    rows[place] = (replace(entry, **{column: changed.get(column, "other")}), hash_)
    assert _judge(rows, {3: head}) == [(3, place + 1, rows[place][0].event_id)]


def test_a_changed_row_with_a_matching_hash_breaks_the_next() -> None:
    rows, head = _chain(3)
    forged = replace(rows[1][0], actor="somebody else")
    rows[1] = (forged, link(rows[0][1], forged.content()))
    assert _judge(rows, {3: head}) == [(3, 3, UUID(int=103))]


def test_missing_rows_are_named_wherever_they_stood() -> None:
    rows, head = _chain(5)
    assert _judge(rows[1:], {3: head}) == [(3, 1, None)]
    assert _judge(rows[:1] + rows[3:], {3: head}) == [(3, 2, None)]
    assert _judge(rows[:4], {3: head}) == [(3, 5, None)]
    assert _judge([], {3: head}) == [(3, 1, None)]


def test_swapped_rows_are_both_named() -> None:
    rows, head = _chain(4)
    (second, second_hash), (third, third_hash) = rows[1], rows[2]
    rows[1:3] = [(replace(third, sequence=2), third_hash), (replace(second, sequence=3), second_hash)]
    assert [sequence for _, sequence, _ in _judge(rows, {3: head})] == [2, 3, 4]


def test_a_chain_passed_off_as_another_is_broken() -> None:
    rows, head = _chain(1)
    entry, hash_ = rows[0]
    assert _judge([(replace(entry, chain=4), hash_)], {4: head}) == [(4, 1, UUID(int=101))]


def test_a_head_that_is_not_the_last_row_is_named() -> None:
    rows, head = _chain(2)
    assert _judge(rows, {3: Head(2, b"\0" * 32)}) == [(3, 2, None)]
    assert _judge(rows, {3: Head(1, rows[0][1])}) == [(3, 2, None)]
    assert _judge(rows, {}) == [(3, 2, None)]
    assert head.sequence == 2
