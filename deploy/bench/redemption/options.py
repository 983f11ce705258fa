"""How large redemption's benchmark is."""

import math
from dataclasses import dataclass
from typing import Final

from deploy.bench.pacing import warm_up_of
from deploy.embedded.options import KafkaKind
from shared.settings import BatchSettings, load_settings

SEED: Final = 20_261_125
SEED_SHARE: Final = 5
"""The design's transaction gets one request for so many of the system's: it needs a multiple of the time."""

SEED_CONNECTIONS: Final = 16
SEED_WARM_UP: Final = 10 * SEED_CONNECTIONS
"""Requests redeemed before the clock starts: by then PostgreSQL has settled on each statement's plan."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure on; `requests` and `events` are of one round, `offers` those beside the hot one."""

    kafka: KafkaKind
    users: int
    offers: int
    requests: int
    events: int
    rounds: int

    @property
    def seed_requests(self) -> int:
        """Requests of the design's transaction that are timed in a round, on one offer and on all."""
        return max(1, self.requests // SEED_SHARE)

    @property
    def warm_up_events(self) -> int:
        """Paced requests sent before those that are measured."""
        return warm_up_of(self.events)

    @property
    def per_user_limit(self) -> int:
        """Checked with each request and reached by none."""
        requests_max = max(self.requests + self.warm_up_events + self.events, SEED_WARM_UP + self.seed_requests)
        return 1 + math.ceil(requests_max / self.users)

    @property
    def batch_records_max(self) -> int:
        """How many requests a worker takes into one transaction at most, as the environment says."""
        return load_settings(BatchSettings).batch_records_max
