"""A sound database for `offers verify` to check, and a way to break it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from deploy.verification import Breach, Scope, verify
from services.audit.handler import AuditHandler
from shared.database import Pool
from shared.events.audit_events import AuditType
from tests.support.audit import event, received
from tests.support.campaign import add_offer

TWO_TOPUPS: Final = {"rule_type": "min_topups", "params": {"count": 2, "window_days": 30}}
DAY: Final = timedelta(days=1)
FULL: Final = Scope()


@dataclass(slots=True)
class Campaign:
    """A sound database: a limited offer used twice and given back once, and an offer with rules."""

    pool: Pool
    limited: UUID = field(default_factory=uuid4)
    ruled: UUID = field(default_factory=uuid4)
    buyer: UUID = field(default_factory=uuid4)
    regular: UUID = field(default_factory=uuid4)
    stranger: UUID = field(default_factory=uuid4)
    standing: UUID = field(default_factory=uuid4)
    revoked: UUID = field(default_factory=uuid4)

    async def build(self) -> None:
        """Fill an empty database."""
        await add_offer(self.pool, id=self.limited, per_user_limit=1, total_usage_limit=5, usage_count=1)
        await add_offer(self.pool, [TWO_TOPUPS], id=self.ruled)
        for user in (self.buyer, self.regular, self.stranger):
            await self.pool.execute("INSERT INTO users (id, created_at) VALUES ($1, now())", user)
        for days in (1, 2, 3):
            await self.add_topup(self.regular, days)
        await self.enrol(self.regular)
        await self.redeem(self.standing)
        await self.redeem(self.revoked)
        await self.revoke(self.revoked)
        await self.decide(uuid4(), "redeem", None)
        await self.audit("redemption.accepted", self.standing)
        await self.audit("redemption.accepted", self.revoked)
        await self.audit("redemption.revoked", self.revoked)

    async def add_topup(self, user: UUID, days_ago: int) -> None:
        await self.pool.execute(
            "INSERT INTO topup_requests (id, user_id, operator_id, amount, status, occurred_at)"
            " VALUES (gen_random_uuid(), $1, gen_random_uuid(), 5, 'succeeded', now() - $2::interval)",
            user,
            days_ago * DAY,
        )

    async def enrol(self, user: UUID) -> None:
        """Make the user a member for as long as the rules say."""
        await self.pool.execute(
            "INSERT INTO offer_segment_members (offer_id, user_id, valid_until, rules_version)"
            " SELECT id, $2, eligibility_valid_until(id, $2), rules_version FROM offers WHERE id = $1",
            self.ruled,
            user,
        )

    async def redeem(self, redemption: UUID) -> None:
        await self.pool.execute(
            "INSERT INTO offer_redemptions (id, request_id, offer_id, user_id, price_paid, discount_amount)"
            " VALUES ($1, gen_random_uuid(), $2, $3, 90, 10)",
            redemption,
            self.limited,
            self.buyer,
        )
        request = await self.pool.fetchval("SELECT request_id FROM offer_redemptions WHERE id = $1", redemption)
        await self.decide(request, "redeem", redemption)

    async def revoke(self, redemption: UUID) -> None:
        await self.pool.execute("UPDATE offer_redemptions SET revoked_at = now() WHERE id = $1", redemption)
        await self.decide(uuid4(), "revoke", redemption)

    async def decide(self, request: UUID, command: str, redemption: UUID | None) -> None:
        """Store an accepted decision on the redemption, or a rejected one without it."""
        await self.pool.execute(
            "INSERT INTO redemption_decisions (request_id, content_hash, command, status, reason, offer_id, user_id,"
            " redemption_id, request, reply, decided_at) VALUES ($1, '', $2, $3, $4, $5, $6, $7, '{}', '{}', now())",
            request,
            command,
            "accepted" if redemption else "rejected",
            None if redemption else "not_eligible",
            self.limited,
            self.buyer,
            redemption,
        )

    async def audit(self, type_: AuditType, redemption: UUID) -> None:
        audited = event(type=type_, entity_id=redemption, offer_id=self.limited, user_id=self.buyer)
        await AuditHandler(self.pool)(received([audited]))

    async def check(self, scope: Scope = FULL) -> Sequence[Breach]:
        async with self.pool.acquire() as connection:
            return await verify(connection, scope)

    async def broken(self, script: str) -> list[tuple[int, str, str, str]]:
        """Run SQL in which {names} stand for this campaign's ids; the breaches after it, ids by name."""
        names = ("limited", "ruled", "buyer", "regular", "stranger", "standing", "revoked")
        ids = {name: getattr(self, name) for name in names}
        await self.pool.execute(script.format(**ids))
        found = []
        for breach in await self.check():
            row = breach.row
            for name, id_ in ids.items():
                row = row.replace(str(id_), name)
            found.append((breach.invariant, breach.table, row, breach.problem))
        return found
