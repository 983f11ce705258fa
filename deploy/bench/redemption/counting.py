"""Whether what was sent, answered and stored is the same number, one by one."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from deploy.bench.redemption.preparing import queries
from shared.database import Connection


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of requests that all were to be accepted.

    `decisions` is None for who stores none. `usage_counted` is the sum of the offers' counts,
    `offers_miscounted` how many of them are not the number of redemptions, `users_over_limit` how many
    pairs of user and offer have more than allowed.
    """

    sent: int
    accepted: int
    redemptions: int
    decisions: int | None
    usage_counted: int
    offers_miscounted: int
    users_over_limit: int

    @property
    def exact(self) -> bool:
        """Whether each request sent was accepted and stored once, and counted."""
        stored = {self.accepted, self.redemptions, self.usage_counted, self.sent}
        if self.decisions is not None:
            stored.add(self.decisions)
        return len(stored) == 1 and not self.offers_miscounted and not self.users_over_limit

    @classmethod
    async def of_database(cls, connection: Connection, sent: int, accepted: int, *, decided: bool) -> Self:
        """Counts in a database that held no redemption before."""
        found = await connection.fetchrow(queries.stored)
        assert found is not None
        return cls(
            sent=sent,
            accepted=accepted,
            redemptions=found["redemptions"],
            decisions=found["decisions"] if decided else None,
            usage_counted=found["usage_counted"],
            offers_miscounted=found["offers_miscounted"],
            users_over_limit=found["users_over_limit"],
        )

    @classmethod
    def total(cls, counts: Iterable[Self]) -> Self:
        """The sum, of counts that are all of who stores decisions or of who stores none."""
        each = list(counts)
        decisions = [one.decisions for one in each if one.decisions is not None]
        return cls(
            sent=sum(one.sent for one in each),
            accepted=sum(one.accepted for one in each),
            redemptions=sum(one.redemptions for one in each),
            decisions=sum(decisions) if decisions else None,
            usage_counted=sum(one.usage_counted for one in each),
            offers_miscounted=sum(one.offers_miscounted for one in each),
            users_over_limit=sum(one.users_over_limit for one in each),
        )
