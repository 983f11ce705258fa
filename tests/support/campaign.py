"""Puts offers and users straight into the database, for tests that start from a given state."""

from typing import Any
from uuid import UUID, uuid4

from shared.database import Connection, Pool


async def add_offer(pool: Pool | Connection, rules: list[dict[str, Any]] | None = None, **columns: Any) -> UUID:
    """An active 10 % offer, unless the columns say otherwise; rules are {rule_type, params}."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "code": uuid4().hex[:10],
        "title": "Ten percent off",
        "status": "active",
        "discount_type": "percentage",
        "discount_value": 10,
    } | columns
    names = ", ".join(values)
    places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
    await pool.execute(f"INSERT INTO offers ({names}) VALUES ({places})", *values.values())  # noqa: S608
    for place, rule in enumerate(rules or []):
        await pool.execute(
            "INSERT INTO offer_eligibility_rules (offer_id, rule_key, rule_type, params, position)"
            " VALUES ($1, $2, $3, $4, $5)",
            values["id"],
            f"rule-{place}",
            rule["rule_type"],
            rule["params"],
            place,
        )
    offer_id: UUID = values["id"]
    return offer_id
