"""The audit service's benchmark: events into chained rows, beside a bare COPY of the same rows."""
