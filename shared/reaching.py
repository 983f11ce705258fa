"""Whether a Kafka cluster lets us in and, if not, which setting to look at: clients of Kafka say so only in a log."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Protocol

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from shared.errors import DeliveryError
from shared.tls import Failure, causes, tls_failure

ANSWER_MS_MAX: Final = 5_000
NOT_PERMITTED: Final = (ClusterAuthorizationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError)
"""The cluster knows who we are, but its access list lacks something."""
_SETTINGS: Final = {
    Failure.ca: "OFFERS_KAFKA_SSL_CAFILE",
    Failure.name: "OFFERS_KAFKA_BOOTSTRAP_SERVERS",
    Failure.expired: "OFFERS_KAFKA_BOOTSTRAP_SERVERS",
    Failure.ours: "OFFERS_KAFKA_SSL_CERTFILE",
    Failure.protocol: "OFFERS_KAFKA_SECURITY_PROTOCOL",
}
_LOGIN: Final = ("sasl_mechanism", "sasl_plain_username", "sasl_plain_password")


class KafkaAway(DeliveryError):
    """No broker lets us in; one line that names the setting to look at first."""


class Client(Protocol):
    """Any client of aiokafka's."""

    async def start(self) -> None:
        """Connect."""


async def start_client(client: Client, options: Mapping[str, Any]) -> None:
    """Connect a client; `options` are those it was made with.

    Raises:
        KafkaAway: no broker lets us in.
        KafkaError: the client can't start for another reason.
    """
    try:
        await client.start()
    except KafkaError:
        await reach_kafka(options)
        raise


async def reach_kafka(options: Mapping[str, Any]) -> None:
    """Log in at the first broker that answers.

    Raises:
        KafkaAway: none does.
    """
    errors: list[str] = []
    for host, port, _ in collect_hosts(options["bootstrap_servers"], randomize=False):
        try:
            connection = await _log_in(host, port, options)
        except (OSError, KafkaError, ValueError) as error:  # TimeoutError is an OSError; SCRAM raises ValueError.
            errors.append(_line(error, f"{host}:{port}", options))
        else:
            await connection.close()
            return
    raise KafkaAway("; ".join(dict.fromkeys(errors)))


async def _log_in(host: str, port: int, options: Mapping[str, Any]) -> AIOKafkaConnection:
    async with asyncio.timeout(ANSWER_MS_MAX / 1000):
        return await create_conn(
            host,
            port,
            client_id="offers-probe",
            request_timeout_ms=ANSWER_MS_MAX,
            security_protocol=options["security_protocol"],
            ssl_context=options["ssl_context"],
            **{name: options[name] for name in _LOGIN if name in options},
        )


def _line(error: Exception, place: str, options: Mapping[str, Any]) -> str:
    tls = tls_failure(error)
    if tls is not None:
        failure, text = tls
        return f"{_SETTINGS[failure]}: {place}: {text}"
    for cause in causes(error):
        if isinstance(cause, SaslAuthenticationFailed | ValueError):
            login = "OFFERS_KAFKA_SASL_USERNAME, OFFERS_KAFKA_SASL_PASSWORD"
            return f"{login}: {place} refuses the login of {options.get('sasl_plain_username')}: {_text(cause)}"
        if isinstance(cause, UnsupportedSaslMechanismError | IllegalSaslStateError):
            return f"OFFERS_KAFKA_SASL_MECHANISM: {place} does not take {options.get('sasl_mechanism')}: {_text(cause)}"
    return f"OFFERS_KAFKA_BOOTSTRAP_SERVERS, OFFERS_KAFKA_SECURITY_PROTOCOL: {place} does not answer: {_text(error)}"


def _text(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
