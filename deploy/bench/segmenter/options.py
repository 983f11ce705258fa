"""How large the segmenter's benchmark is."""

from dataclasses import dataclass
from typing import Final

from deploy.bench.pacing import warm_up_of
from deploy.embedded.options import KafkaKind

SEED: Final = 20_261_124


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure on; `topups` and `events` are of one round."""

    kafka: KafkaKind
    users: int
    offers: int
    topups: int
    events: int
    rounds: int
    recompute_offers: int

    @property
    def warm_up_events(self) -> int:
        """Events sent before those that are measured."""
        return warm_up_of(self.events)

    @property
    def users_needed(self) -> int:
        """Each paced event concerns another user."""
        return self.rounds * (self.events + self.warm_up_events)
