"""How large the audit service's benchmark is."""

from dataclasses import dataclass

from deploy.embedded.options import KafkaKind
from services.audit.app import AuditBatchSettings
from shared.settings import load_settings


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure on; `events` are of one round."""

    kafka: KafkaKind
    events: int
    rounds: int

    @property
    def batch_records_max(self) -> int:
        """How many events the worker takes into one transaction at most, as the environment says."""
        return load_settings(AuditBatchSettings).batch_records_max
