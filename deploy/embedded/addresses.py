"""Where a running stack is: for the ready file, for the environment of commands, and for people."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from deploy.private_file import write_private
from shared.settings import KafkaSettings


@dataclass(frozen=True, slots=True)
class Addresses:
    """The addresses of a running stack, and the secret that is the token of its APIs and the password of its page."""

    database_url: str
    kafka: KafkaSettings
    redis_url: str
    admin_url: str
    admin_token: str
    audit_url: str
    admin_user: str = "admin"

    def environment(self) -> dict[str, str]:
        """The OFFERS_* variables of services and commands, whatever the caller's own environment says."""
        return {
            "OFFERS_DATABASE_URL": self.database_url,
            "OFFERS_REDIS_URL": self.redis_url,
        } | {
            f"OFFERS_{name.upper()}": str(value) for name, value in self.kafka.model_dump().items() if value is not None
        }


def write_environment(addresses: Addresses, path: Path) -> None:
    """A file to source in another terminal; readable by its owner alone, as it holds a token."""
    variables = addresses.environment() | {
        "OFFERS_ADMIN_URL": addresses.admin_url,
        "OFFERS_ADMIN_TOKEN": addresses.admin_token,
        "OFFERS_AUDIT_URL": addresses.audit_url,
    }
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    write_private(path, "".join(lines))


def write_ready_file(addresses: Addresses, pids: dict[str, list[int]], path: Path) -> None:
    """Everything answers: tell whoever waits for the file, which is complete from the moment it exists."""
    fields = {
        "database_url": addresses.database_url,
        "kafka_bootstrap_servers": addresses.kafka.kafka_bootstrap_servers,
        "redis_url": addresses.redis_url,
        "admin_url": addresses.admin_url,
        "admin_token": addresses.admin_token,
        "admin_user": addresses.admin_user,
        "admin_password": addresses.admin_token,
        "audit_url": addresses.audit_url,
    }
    write_private(path, json.dumps(fields | {"pids": pids}, indent=2) + "\n")
