"""How often a password may be tried, per name and per network address; counted in Redis by all processes together."""

import hashlib
import ipaddress
from dataclasses import dataclass
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis.asyncio import Redis

from shared.sessions import needing_redis

_NETWORK_BITS: Final = 64
"""An IPv6 customer has at least so many bits of addresses to choose from."""


class AttemptSettings(BaseSettings):
    """How often a wrong password may be given."""

    model_config = SettingsConfigDict(env_prefix="OFFERS_")

    login_window_s: int = Field(default=300, ge=1, description="attempts are counted over so long")
    login_attempts_per_name_max: int = Field(default=10, ge=1, description="wrong passwords for one name")
    login_attempts_per_address_max: int = Field(default=50, ge=1, description="wrong passwords from one address")


@dataclass(frozen=True, slots=True)
class TooManyAttempts:
    """No more passwords are checked for the name, or from the address, for now."""

    retry_after_s: int


class Attempts:
    """Counts before a password is checked, so that many at once can't pass. SessionsAway if Redis doesn't answer."""

    def __init__(self, redis: Redis, limits: AttemptSettings) -> None:
        self._redis = redis
        self._limits = limits

    async def begin(self, name: str, address: str | None) -> TooManyAttempts | None:
        """Count an attempt; says so if it must not be made."""
        limits = (self._limits.login_attempts_per_name_max, self._limits.login_attempts_per_address_max)
        async with needing_redis(), self._redis.pipeline(transaction=True) as pipeline:
            for key in _keys(name, address):
                pipeline.set(key, 0, ex=self._limits.login_window_s, nx=True)
                pipeline.incr(key)
                pipeline.ttl(key)
            answers = await pipeline.execute()
        counted = zip(answers[1::3], answers[2::3], limits, strict=True)
        waits = [max(1, ttl) for count, ttl, most in counted if count > most]
        return TooManyAttempts(max(waits)) if waits else None

    async def succeeded(self, name: str, address: str | None) -> None:
        """The password was right: begin anew for the name, and give the attempt back to the address."""
        of_name, of_address = _keys(name, address)
        async with needing_redis(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(of_name)
            pipeline.set(of_address, 1, ex=self._limits.login_window_s, nx=True)
            pipeline.decr(of_address)
            await pipeline.execute()


def _keys(name: str, address: str | None) -> tuple[str, str]:
    hashed = hashlib.sha256(name.strip().lower().encode()).hexdigest()
    return f"offers:login:name:{hashed}", f"offers:login:address:{_network(address)}"


def _network(address: str | None) -> str:
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _NETWORK_BITS), strict=False))
