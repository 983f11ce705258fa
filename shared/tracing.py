"""One trace from a checkout's request to its audit row: W3C trace contexts in and out of messages, and their spans.

Only a message with a sampled `traceparent` gets a span; any other costs a look at its headers' names. Without
an exporter contexts are still passed on, and nothing is recorded.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.identifiers import identifiers_of
from shared.settings import TelemetrySettings

EXPORT_TIMEOUT_S: Final = 3.0
"""How long a collector may take, also when the process ends."""

TraceHeaders = Sequence[tuple[str, bytes]]

_TRACEPARENT: Final = "traceparent"
_CARRIED: Final = (_TRACEPARENT, "tracestate")
_propagator = TraceContextTextMapPropagator()


def headers_of(span: Span | None) -> TraceHeaders:
    """The headers by which whoever reads a message continues the trace of this span; none for no span."""
    if span is None or not span.get_span_context().is_valid:
        return ()
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, trace.set_span_in_context(span, Context()))
    return [(name, value.encode()) for name, value in carrier.items()]


def current_headers() -> TraceHeaders:
    """The headers that continue the caller's own trace, if it is in one."""
    return headers_of(trace.get_current_span())


def follow(headers: Sequence[tuple[str, bytes | None]], span_name: str, message: object) -> Span | None:
    """A span of what is done with a message, as a child of its sender's; None where the sender traces nothing."""
    for name, _ in headers:  # Nearly every message ends here, so it is the quickest way that counts.
        if name == _TRACEPARENT:
            break
    else:
        return None
    carrier = {key: value.decode("ascii", "replace") for key, value in headers if key in _CARRIED and value}
    context = _propagator.extract(carrier, Context())
    sender = trace.get_current_span(context).get_span_context()
    if not sender.is_valid or not sender.trace_flags.sampled:
        return None
    return trace.get_tracer("offers").start_span(span_name, context, SpanKind.CONSUMER, _attributes(message))


def _attributes(message: object) -> dict[str, str]:
    return {f"offers.{name}": value for name, value in identifiers_of(message).items()}


def end_spans(spans: Iterable[Span | None]) -> None:
    """What these tell of is done. A span that is never ended, of a batch given up, is not exported."""
    for span in spans:
        if span is not None:
            span.end()


def fail(span: Span | None, error: Exception) -> None:
    """Note on a span, if there is one, what went wrong."""
    if span is not None:
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))


def export_traces(service: str, settings: TelemetrySettings) -> Any:
    """Send this process's spans to the settings' collector from now on.

    Returns the provider, to be shut down in the end, or None where no collector is named.
    """
    if settings.otlp_endpoint is None:
        return None
    # Imported only where it is used: it takes a quarter of a second and some megabytes.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    url = settings.otlp_endpoint.rstrip("/") + "/v1/traces"
    provider = TracerProvider(resource=Resource.create({"service.name": f"offers-{service}"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=EXPORT_TIMEOUT_S)))
    trace.set_tracer_provider(provider)
    return provider
