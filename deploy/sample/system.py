"""The system the sample is played against: one that `offers up` runs, or any other."""

from dataclasses import dataclass

from shared.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class System:
    """How it is reached. The database is read as its owner would; the token is an editor's, at least."""

    database_url: str
    kafka: KafkaSettings
    admin_url: str
    admin_token: str
