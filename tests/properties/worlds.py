"""Random worlds for the eligibility engines: one offer with rules and allow-lists, and users with histories."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from shared.database import Connection
from tests.properties.strategies import moments, rules, topups

OFFER = UUID(int=100)
ALLOWED_ROLE = "staff"


@dataclass(frozen=True)
class World:
    """An offer's rules and the users it is asked about; the first of them is allowed by name."""

    users: Sequence[UUID]
    logic: str
    rules: list[dict[str, Any]]
    allow_all: bool
    roles: list[list[str]]
    registered: list[datetime | None]
    histories: list[list[dict[str, Any]]]


def worlds(users: Sequence[UUID], rules_min: int) -> st.SearchStrategy[World]:
    """Worlds with these users and from so many to four rules."""
    roles = st.sampled_from([[], ["agent"], ["agent", ALLOWED_ROLE]])
    registered = st.one_of(st.none(), moments())
    return st.builds(
        World,
        users=st.just(users),
        logic=st.sampled_from(["all", "any"]),
        rules=st.lists(rules(), min_size=rules_min, max_size=4),
        allow_all=st.booleans(),
        roles=st.lists(roles, min_size=len(users), max_size=len(users)),
        registered=st.lists(registered, min_size=len(users), max_size=len(users)),
        histories=st.lists(st.lists(topups(), max_size=6), min_size=len(users), max_size=len(users)),
    )


async def store(connection: Connection, world: World) -> None:
    await connection.execute(
        """INSERT INTO offers (id, code, title, status, discount_type, discount_value, allow_all, eligibility_logic)
           VALUES ($1, 'ANY', 'Any', 'active', 'percentage', 10, $2, $3)""",
        OFFER,
        world.allow_all,
        world.logic,
    )
    await connection.execute("INSERT INTO offer_allowed_roles VALUES ($1, $2)", OFFER, ALLOWED_ROLE)
    await connection.execute("INSERT INTO offer_allowed_users VALUES ($1, $2)", OFFER, world.users[0])
    for place, rule in enumerate(world.rules):
        await connection.execute(
            "INSERT INTO offer_eligibility_rules (offer_id, rule_key, rule_type, params) VALUES ($1, $2, $3, $4)",
            OFFER,
            f"rule-{place}",
            rule["rule_type"],
            rule["params"],
        )
    for user, roles, registered, history in zip(
        world.users, world.roles, world.registered, world.histories, strict=True
    ):
        await connection.execute(
            "INSERT INTO users (id, created_at, roles) VALUES ($1, $2, $3)", user, registered, roles
        )
        for topup in history:
            await connection.execute(
                """INSERT INTO topup_requests (id, user_id, operator_id, kind, amount, status, occurred_at)
                   VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, $6)""",
                user,
                topup["operator_id"],
                topup["kind"],
                Decimal(topup["amount"]),
                topup["status"],
                topup["occurred_at"],
            )
