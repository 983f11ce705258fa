"""Every metric of our own, by its name, in one place. /metrics serves them beside those of the process.

What a batch does is counted once a batch, with counts; what has a level (lag, backlog, connections, readiness)
is looked at when somebody asks for /metrics. Labels come from small fixed sets: topics are named without the
settings' prefix, and nothing is labelled by offer, user or request.
"""

import time
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
MESSAGES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)

# What every consumer does.
BATCH_MESSAGES: Final = Histogram(
    "offers_batch_messages", "Messages handled in one transaction", ["topic"], buckets=MESSAGES
)
TRANSACTION_SECONDS: Final = Histogram(
    "offers_transaction_seconds", "From a batch's being taken up to its commit", ["topic"], buckets=SECONDS
)
VISIBLE_SECONDS: Final = Histogram(
    "offers_visible_seconds",
    "From the publishing of a batch's oldest message to the commit of what it changed",
    ["topic"],
    buckets=SECONDS,
)
BATCHES_FAILED: Final = Counter("offers_batches_failed_total", "Batches rewound, to be handled again", ["topic"])
DEAD_LETTERS: Final = Counter(
    "offers_dead_letters_total", "Messages published to the topic's dead-letter topic", ["topic"]
)
LAG: Final = Gauge(
    "offers_consumer_lag_messages", "Messages not yet committed, of partitions assigned here", ["topic", "partition"]
)

# What one service does.
DECISIONS: Final = Counter(
    "offers_decisions_total",
    "Answers to requests, those to repeats included; no reason where accepted",
    ["command", "status", "reason"],
)
CATALOGUE_LOOKUPS: Final = Counter(
    "offers_catalogue_lookups_total",
    "Offer definitions needed by batches, by where they were found: memory, redis or database",
    ["found"],
)
MEMBERS_CHANGED: Final = Counter(
    "offers_members_changed_total",
    "Memberships that entered or left; those of a transaction that fails are counted again",
    ["change"],
)
AUDIT_ROWS: Final = Counter("offers_audit_rows_total", "Rows appended to the audit log")
OUTBOX_ROWS: Final = Gauge(
    "offers_outbox_rows", "Rows that wait in the outbox for this service's relay, 10,000 meaning that or more"
)
INSIGHT_COUNTED_UNTIL: Final = Gauge(
    "offers_insight_counted_until_seconds",
    "The time, since 1970, up to which this process has counted decisions for the admin page; 0: another one does",
)

# What the process rests on.
READY: Final = Gauge("offers_ready", "1 where a part answers: database, broker or consumers", ["part"])
POOL_CONNECTIONS: Final = Gauge(
    "offers_database_pool_connections", "Connections of the pool: open, in_use, and max that may be open", ["state"]
)


class ConsumerMetrics:
    """What one topic's consumer counts, all there from the start at zero: an increase from nothing would be none."""

    def __init__(self, topic: str) -> None:
        self._batch_messages = BATCH_MESSAGES.labels(topic)
        self._transaction_seconds = TRANSACTION_SECONDS.labels(topic)
        self._visible_seconds = VISIBLE_SECONDS.labels(topic)
        self._batches_failed = BATCHES_FAILED.labels(topic)
        self._dead_letters = DEAD_LETTERS.labels(topic)

    def handled(self, messages: int, took_s: float, oldest_ms: int) -> None:
        """A batch was committed just now; its oldest message was published at `oldest_ms` since 1970."""
        self._batch_messages.observe(messages)
        self._transaction_seconds.observe(took_s)
        # Another machine's clock may be ahead of ours.
        self._visible_seconds.observe(max(0.0, time.time() - oldest_ms / 1_000))

    def failed(self) -> None:
        """A batch was rewound."""
        self._batches_failed.inc()

    def dead_lettered(self, count: int) -> None:
        """So many messages are safe in the dead-letter topic."""
        self._dead_letters.inc(count)
