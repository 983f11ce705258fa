"""Clients of Redis: TLS by its settings, and whether it lets us in."""

from typing import Any, Final

from redis.asyncio import Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError, ResponseError

from shared.errors import ConfigurationError
from shared.settings import RedisSettings
from shared.telemetry import get_logger
from shared.tls import Failure, Files, RotatingContext, causes, rotating_context, tls_failure

START_S_MAX: Final = 5.0
_SETTINGS: Final = {
    Failure.ca: "OFFERS_REDIS_SSL_CAFILE",
    Failure.name: "OFFERS_REDIS_URL",
    Failure.expired: "OFFERS_REDIS_URL",
    Failure.ours: "OFFERS_REDIS_SSL_CERTFILE",
    Failure.protocol: "OFFERS_REDIS_URL",
}
_REFUSED: Final = ("WRONGPASS", "NOAUTH", "NOPERM")

log = get_logger(__name__)


class _TlsConnection(SSLConnection):
    """Every reconnection reads replaced certificates; the library's own context would last as long as the client."""

    def __init__(self, context: RotatingContext, **options: Any) -> None:
        super().__init__(**options)
        self._context = context

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._context}


def redis_client(
    settings: RedisSettings, *, answer_s_max: float, connect_s_max: float | None = None, retries: int = 0
) -> Redis:
    """A client that connects when first used, and again after a restart of Redis.

    `connect_s_max`: for TLS, whose handshake takes longer than an answer; `answer_s_max` unless given.

    Raises:
        ConfigurationError: a file of the TLS settings can't be used; names it.
    """
    tls = settings.redis_url.startswith("rediss:")
    client = Redis.from_url(
        settings.redis_url,
        socket_timeout=answer_s_max,
        socket_connect_timeout=connect_s_max if tls and connect_s_max is not None else answer_s_max,
        retry=Retry(NoBackoff(), retries),
    )
    if tls:
        files = Files(settings.redis_ssl_cafile, settings.redis_ssl_certfile, settings.redis_ssl_keyfile)
        pool = client.connection_pool
        pool.connection_class = _TlsConnection
        pool.connection_kwargs["context"] = rotating_context(files, "OFFERS_REDIS_SSL")
    return client


async def check_redis(settings: RedisSettings) -> None:
    """See that Redis lets us in. It may be away: what needs it copes with that, but not with a wrong password.

    Raises:
        ConfigurationError: it never will as things are; names the setting.
    """
    client = redis_client(settings, answer_s_max=START_S_MAX)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        refusal = redis_refusal(error)
        if refusal is not None:
            raise ConfigurationError(refusal) from error
        log.warning("Redis is away", action="redis.away", error=repr(error))
    finally:
        await client.aclose()


def redis_refusal(error: BaseException) -> str | None:
    """One line about a connection that will not come about until a setting or a certificate is changed, else None."""
    tls = tls_failure(error)
    if tls is not None:
        return f"{_SETTINGS[tls[0]]}: Redis can't be reached: {tls[1]}"
    for cause in causes(error):
        said = " ".join(str(cause).split())
        if isinstance(cause, AuthenticationError | AuthorizationError):
            return f"OFFERS_REDIS_URL: Redis refuses the login: {said}"
        if isinstance(cause, ResponseError) and said.startswith(_REFUSED):
            return f"OFFERS_REDIS_URL: Redis refuses the login: {said}"
    return None
