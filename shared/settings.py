"""Settings from the environment (prefix OFFERS_), read once at start and typed.

Each class holds what one concern needs; a service's settings combine those it uses. A secret may be a file instead of a
variable: in the folder that OFFERS_SECRETS_DIR names, called as the variable would be, in either case.
"""

import os
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.errors import ConfigurationError

S = TypeVar("S", bound=BaseSettings)

SECRETS_DIR: Final = "OFFERS_SECRETS_DIR"

REDIS_URL: Final = r"^(rediss?|unix)://"


class DatabaseSettings(BaseSettings):
    """Where PostgreSQL is and how much of it one process may take."""

    model_config = SettingsConfigDict(env_prefix="OFFERS_")

    database_url: str = Field(pattern=r"^postgres(ql)?://", description="PostgreSQL connection URL")
    database_pool_size_max: int = Field(default=6, ge=2, description="connections one process may hold")


class RedisSettings(BaseSettings):
    """Where Redis is."""

    model_config = SettingsConfigDict(env_prefix="OFFERS_")

    redis_url: str = Field(pattern=REDIS_URL, description="Redis connection URL; rediss:// with TLS")
    redis_ssl_cafile: str | None = Field(default=None, description="PEM; whom to trust in place of the system's CAs")
    redis_ssl_certfile: str | None = Field(default=None, description="PEM; our certificate, where Redis wants one")
    redis_ssl_keyfile: str | None = Field(default=None, description="PEM; its key, if not in the same file")


class SessionSettings(BaseSettings):
    """How long a login to the admin page lasts."""

    model_config = SettingsConfigDict(env_prefix="OFFERS_")

    session_idle_s_max: int = Field(default=3_600, ge=1, description="a session ends after so long without a request")
    session_s_max: int = Field(default=12 * 3_600, ge=1, description="and after so long in any case")


class KafkaSettings(BaseSettings):
    """Where Kafka is, how to log in to it, and how its clients behave."""

    model_config = SettingsConfigDict(env_prefix="OFFERS_")

    kafka_bootstrap_servers: str = Field(pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$", description="host:port, …")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_cafile: str | None = Field(default=None, description="PEM; whom to trust in place of the system's CAs")
    kafka_ssl_certfile: str | None = Field(default=None, description="PEM; our certificate, where the brokers want one")
    kafka_ssl_keyfile: str | None = Field(default=None, description="PEM; its key, if not in the same file")
    kafka_topic_prefix: str = Field(
        default="", pattern=r"^[A-Za-z0-9._-]*$", description="put before every topic and group"
    )
    kafka_partitions: int = Field(default=6, ge=1, description="partitions `offers topics` gives a new topic")
    kafka_replication_factor: int = Field(default=1, ge=1)
    kafka_idempotent_producer: bool = Field(default=True, description="off only for brokers that lack it")
    kafka_fetch_wait_ms_max: int = Field(default=100, ge=1, description="how long a broker may hold an empty fetch")
    kafka_session_timeout_ms: int = Field(
        default=10_000, ge=1_000, description="a silent worker is replaced after this"
    )


class BatchSettings(BaseSettings):
    """How many messages a service takes at once."""

    model_config = SettingsConfigDict(env_prefix="OFFERS_")

    batch_records_max: int = Field(default=1_000, ge=1, le=10_000, description="messages in one transaction, at most")


class HttpSettings(BaseSettings):
    """Where a service listens for HTTP: its API if it has one, and its probes."""

    model_config = SettingsConfigDict(env_prefix="OFFERS_")

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65_535, description="0: any that is free")


class TelemetrySettings(BaseSettings):
    """What a process tells about itself beside its metrics."""

    model_config = SettingsConfigDict(env_prefix="OFFERS_", populate_by_name=True)

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="DEBUG: a line for each decision too"
    )
    otlp_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://",
        validation_alias=AliasChoices("OFFERS_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="base URL of a collector (OTLP over HTTP) that gets the traces; none without it",
    )
    faststream_metrics: bool = Field(default=False, description="FastStream's own metrics beside ours")
    faststream_traces: bool = Field(default=False, description="with otlp_endpoint: FastStream's span of each fetch")


def load_settings(kind: type[S]) -> S:
    """Read one settings class from the environment, and from files for what is not in it.

    Raises:
        ConfigurationError: with one line for each missing or malformed variable.
    """
    folder = os.environ.get(SECRETS_DIR) or None
    if folder is not None and not Path(folder).is_dir():
        raise ConfigurationError(f"{SECRETS_DIR}: {folder} is no folder")
    try:
        return kind(_secrets_dir=folder)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_line(issue) for issue in error.errors())) from None


def _line(issue: ErrorDetails) -> str:
    problem = "is not set" if issue["type"] == "missing" else issue["msg"]
    name = str(issue["loc"][0]).upper()
    return f"{name if name.startswith(('OFFERS_', 'OTEL_')) else f'OFFERS_{name}'}: {problem}"
