"""Strategies for messages that no well-meaning checkout sends: the published schema's own, bent, and raw bytes."""

import json
from typing import Any, Final
from uuid import UUID

from hypothesis import strategies as st

from shared.events.redemption_requests import REDEMPTION_REQUEST
from tests.properties.json_schema import from_schema, moments

OFFER: Final = UUID(int=900)
"""An offer that exists, so that bent messages reach the decision and the database."""
CODE: Final = "FUZZ"
REPLY_TOPIC: Final = "answers"
"""A topic that exists, with three partitions; replies may be asked for there."""

Headers = tuple[tuple[str, bytes | None], ...]

_VERBATIM: Final = {
    "@nested 100": b"[" * 100 + b"]" * 100,
    "@nested 260": b"[" * 260 + b"]" * 260,
    "@nested 900": b'{"a":' * 900 + b"1" + b"}" * 900,
    "@nested 9000": b"[" * 9_000 + b"]" * 9_000,
    "@digits 25": b"1" * 25,
    "@digits 500": b"1" * 500,
    "@digits 5000": b"1" * 5_000,
    "@float 1e400": b"1e400",
    "@float -0.0": b"-0.0",
    "@float 1e-400": b"1e-400",
    "@text 600": b'"' + b"a" * 600 + b'"',
    "@text 100000": b'"' + "é".encode() * 50_000 + b'"',
}
"""What Python's own JSON writer would not write, by the placeholder that stands for it."""

_ids = st.sampled_from([str(OFFER), str(UUID(int=901)), str(UUID(int=902))]) | st.uuids().map(str)
_awkward_texts: Final = [
    "", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\ufeff", "\u202e", "💸", "NaN", "sNaN", "Infinity", "-0",
    "-0.00", "-1", "1e2", "1E+10", "0E+11", "1e-2", "1_0", "٣", "0.001", "00.10", " 1 ", "9999999999.99", "10000000000",
    "{" + str(OFFER) + "}", "urn:uuid:" + str(OFFER), str(OFFER).upper(), OFFER.hex, CODE, "redeem", "quote", "revoke",
]  # fmt: skip
_awkward_numbers: Final = [0, -1, 1, 2, 1_000_000, 1_000_001, 2**31, 2**63, 2**64, -(2**63), 10**11, 1.5, 1e22, 1e308]
_not_numbers: Final = [float("nan"), float("inf"), float("-inf")]
_leaves = (
    st.sampled_from(list(_VERBATIM))
    | st.sampled_from(list(_VERBATIM))
    | st.sampled_from(_awkward_texts)
    | st.sampled_from(_awkward_texts)
    | st.sampled_from([*_awkward_numbers, *_not_numbers])
    | st.sampled_from([None, True, False])
    | st.text(st.characters(codec=None), max_size=20)
    | moments
)
anything = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
_OF_THE_FIELD: Final[dict[str, st.SearchStrategy[Any]]] = {
    "unit_price": st.sampled_from([text for text in _awkward_texts if text[-1:].isdecimal()]) | st.just(-0.0),
    "command": st.sampled_from(["redeem", "quote", "revoke", "\x00", "redeem\x00", "REDEEM", "", None, ["redeem"]]),
    "quantity": st.sampled_from([0, 1, 2, 1_000_000, 1_000_001, 2**63, "2", 2.0, True, "@digits 500"]),
    "deadline": moments | st.sampled_from([0, -1, 2**31, 10**18, 1e18, -62135596800, 253402300799, "2026-11-24", "0"]),
}
"""What is almost right for a field, and is drawn for it more often."""
_schema_says = from_schema(REDEMPTION_REQUEST.json_schema(), _ids)
_FIELDS: Final = [
    "request_id", "command", "offer_id", "code", "user_id", "operator_product_id", "supplier_product_mapping_id",
    "quantity", "unit_price", "deadline", "redemption_id", "redeem_request_id", "reason", "nobody's field",
]  # fmt: skip


@st.composite
def _bent(draw: st.DrawFn) -> dict[str, Any]:
    """A message as the schema says, some fields dropped, replaced or added; mostly still with a request_id."""
    message: dict[str, Any] = draw(_schema_says)
    for name in draw(st.lists(st.sampled_from(_FIELDS), min_size=1, max_size=3)):
        if draw(st.sampled_from([True, True, False])):
            message[name] = draw(_OF_THE_FIELD.get(name, _leaves) | _leaves | anything)
        else:
            message.pop(name, None)
    if message.get("offer_id") and draw(st.booleans()):
        message.pop("code", None)
    return message


@st.composite
def _written(draw: st.DrawFn, messages: st.SearchStrategy[Any]) -> bytes:
    text = json.dumps(draw(messages), ensure_ascii=draw(st.booleans()))
    value = text.encode("utf-8", "surrogatepass")
    for placeholder, verbatim in _VERBATIM.items():
        value = value.replace(f'"{placeholder}"'.encode(), verbatim)
    return value


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A message's bytes cut short, in another encoding, with a byte changed, or with more around them."""
    value = draw(_written(_bent()))
    place = draw(st.integers(0, max(0, len(value) - 1)))
    noise = draw(st.binary(min_size=1, max_size=4))
    return draw(
        st.sampled_from([
            value[:place],
            value[:place] + noise + value[place + 1 :],
            value + noise,
            b"\xef\xbb\xbf" + value,
            value.decode("utf-8", "replace").encode("utf-16"),
            value[:-1] + b',"quantity":2,"quantity":"@"}',
        ])
    )  # fmt: skip


values: st.SearchStrategy[bytes | None] = st.one_of(
    _written(_schema_says),
    _written(_bent()),
    _written(_bent()),
    _written(_bent()),
    _written(anything),
    _damaged(),
    st.binary(max_size=40),
    st.none(),
)
"""Values of fuzzed messages."""

keys: st.SearchStrategy[bytes | None] = st.none() | st.binary(max_size=20)
_header_values = st.none() | st.binary(max_size=20) | st.sampled_from([b"\xff\xfe", b"\x00", b"a" * 2_000])
_header_names = st.sampled_from(["correlation_id", "content-type", "reply_to", "", "é", "a" * 300]) | st.text(
    max_size=5
)
_reply_topics = st.just(REPLY_TOPIC.encode()) | st.sampled_from([b"no.such.topic", b"", b"\xff", b"a/b c", b"x" * 300])
_reply_partitions = st.sampled_from([
    b"0", b"2", b"3", b"7", b"-1", b"+1", b" 1", b"1.0", b"", b"\xff", "²".encode(), "٣".encode(), b"00", b"9" * 30,
    b"9" * 5_000,
])  # fmt: skip
_routed = st.tuples(
    st.tuples(st.just("reply_to"), _reply_topics), st.tuples(st.just("reply_partition"), _reply_partitions)
)
headers: st.SearchStrategy[Headers] = st.builds(
    lambda odd, routed: (*odd, *routed),
    st.lists(st.tuples(_header_names, _header_values), max_size=2),
    st.one_of(st.just(()), _routed, _routed, _routed.map(lambda pair: pair[::-1] + pair)),
)
"""Headers of fuzzed messages: null, not UTF-8, and ways to ask for a reply."""
