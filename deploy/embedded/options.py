"""What `offers up` and `offers bench` can be asked for, known without the servers being installed."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class KafkaKind(StrEnum):
    """Which broker the stack runs."""

    embedded = "embedded"
    apache = "apache"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How `offers up` was asked to run. Without a data_dir everything is temporary."""

    data_dir: Path | None = None
    ready_file: Path | None = None
    workers: int = 1
    kafka: KafkaKind = KafkaKind.embedded
