"""FastStream's own middlewares, where settings ask for them: its metrics, and a span for each of its batches.

Ours (shared/metrics.py, shared/tracing.py) tell of transactions and single requests; these tell of FastStream.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from prometheus_client import REGISTRY

from shared.settings import TelemetrySettings


def middlewares(settings: TelemetrySettings, service: str) -> Sequence[Any]:
    """Those that are switched on, for a broker."""
    chosen = []
    if settings.faststream_metrics:
        chosen.append(_prometheus(service))
    if settings.faststream_traces and settings.otlp_endpoint is not None:
        chosen.append(_telemetry())
    return chosen


@cache
def _prometheus(service: str) -> Any:
    """One for the whole process, as its metrics may be registered only once."""
    from faststream.kafka.prometheus import KafkaPrometheusMiddleware

    return KafkaPrometheusMiddleware(registry=REGISTRY, app_name=f"offers-{service}")


def _telemetry() -> Any:
    """Uses the tracer provider that the process has set."""
    from faststream.kafka.opentelemetry import KafkaTelemetryMiddleware

    return KafkaTelemetryMiddleware(include_messages_counters=False)
