"""Strategies made from a JSON Schema, as far as the published message schemas go.

The schema says which fields there are and of what kind; the strategies draw what a sender who follows it may send.
"""

from collections.abc import Mapping
from typing import Any, Final

from hypothesis import strategies as st

YEARS: Final = [1, 1899, 1900, 1970, 2026, 8999, 9000, 9999]
OFFSETS: Final = ["Z", "+00:00", "+05:30", "-23:59", "+23:59"]

moments = st.builds(
    "{:04d}-{}{}".format,
    st.sampled_from(YEARS),
    st.sampled_from(["01-01T00:00:00", "12-31T23:59:59.999999", "11-24T12:30:15.123456", "02-29T00:00:00"]),
    st.sampled_from(OFFSETS),
)


def from_schema(
    schema: Mapping[str, Any], ids: st.SearchStrategy[str], definitions: Mapping[str, Any] | None = None
) -> st.SearchStrategy[Any]:
    """Values that the schema allows; `ids` are the UUIDs to draw from."""
    known = schema.get("$defs", definitions or {})
    if "$ref" in schema:
        return from_schema(known[schema["$ref"].rpartition("/")[2]], ids, known)
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            return st.one_of([from_schema(branch, ids, known) for branch in schema[choice]])
    if "const" in schema:
        return st.just(schema["const"])
    return _of_type(schema, ids, known)


def _of_type(
    schema: Mapping[str, Any], ids: st.SearchStrategy[str], known: Mapping[str, Any]
) -> st.SearchStrategy[Any]:
    match schema["type"]:
        case "null":
            return st.none()
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "string":
            return _strings(schema, ids)
        case "object":
            fields = {name: from_schema(field, ids, known) for name, field in schema["properties"].items()}
            required = {name: fields.pop(name) for name in schema["required"]}
            return st.fixed_dictionaries(required, optional=fields)
        case other:
            raise NotImplementedError(f"no strategy for type {other}")


def _strings(schema: Mapping[str, Any], ids: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    if schema.get("format") == "uuid":
        return ids
    if schema.get("format") == "date-time":
        return moments
    fitting = st.from_regex(schema["pattern"], fullmatch=True)
    return fitting.filter(lambda text: schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", 500))
