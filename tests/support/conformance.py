"""Asks a running API what its OpenAPI document allows, at random, and holds the answers to the document."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import schemathesis
from schemathesis import BaseSchema
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

EXAMPLES: Final = int(os.environ.get("OFFERS_API_EXAMPLES", "12"))
"""Requests an operation, beside the document's own examples; the same ones in every run with as many."""

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
)
NOT_CHECKED: Final = (
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "object_level_authorization",
)
"""They take the document for all there is to know: but 7 is taken for "7", and a code may be taken already."""


def mismatches(
    document: dict[str, Any], url: str, token: str, known: Mapping[str, object], streams: Sequence[str] = ()
) -> list[str]:
    """What was answered against the document, or not at all.

    `known` are parameters of paths that name something there is; `streams` are operations whose answers never end.
    Sends requests from the calling thread, so an API of the same process must be served by another one.
    """
    schema: BaseSchema = schemathesis.openapi.from_dict(document, config=_config(url, token, known))
    if streams:
        schema = schema.exclude(operation_id=list(streams))
    found: dict[str, None] = {}
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            found.update(dict.fromkeys(_failures(event)))
        elif isinstance(event, events.NonFatalError):
            found[f"{event.label}: {event.value}"] = None
    return list(found)


def _config(url: str, token: str, known: Mapping[str, object]) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "base-url": url,
            "headers": {"Authorization": f"Bearer {token}"},
            "parameters": {f"path.{name}": str(value) for name, value in known.items()},
            "cache": {"enabled": False},
            "request-timeout": 60,
            "continue-on-failure": True,
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "no-shrink": True},
            "phases": {"coverage": {"enabled": False}, "stateful": {"enabled": False}},
            "checks": {
                **{name: {"enabled": True} for name in CHECKS},
                **{name: {"enabled": False} for name in NOT_CHECKED},
            },
        }
    )


def _failures(event: events.ScenarioFinished) -> Iterator[str]:
    recorder = event.recorder
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.status is Status.FAILURE and check.failure_info is not None:
                request = recorder.interactions[case_id].request
                yield f"{request.method} {request.uri}: {check.name}: {check.failure_info.failure}"
