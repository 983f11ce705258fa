"""Replays streams of real purchases through Kafka and compares memberships with plain SQL over the same rows.

The SQL here is written against a table of the purchases as the file gives them; it shares nothing with
the product's functions or tables.
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4, uuid5

import pytest

from shared.broker import Outgoing, Publisher
from shared.database import Pool
from shared.events.topups import TopupEvent
from shared.events.users import UserEvent
from shared.settings import KafkaSettings
from shared.topics import TOPUPS, USERS
from tests.support.campaign import add_offer
from tests.support.purchases import CDNOW_CSV, IDS, OPERATORS, Purchase, cdnow, generated
from tests.support.services import segmenter_workers
from tests.support.waiting import until

O1, O2 = OPERATORS[1], OPERATORS[2]


def rule(rule_type: str, **params: Any) -> dict[str, Any]:
    return {"rule_type": rule_type, "params": {k: str(v) if k == "operator_id" else v for k, v in params.items()}}


def having(condition: str, window_days: int | None = None, where: str = "true") -> str:
    """Users whose purchases (in the window, meeting `where`) meet an aggregate condition."""
    window = "true" if window_days is None else f"now() < occurred_at + interval '{window_days * 24} hours'"
    return f"SELECT user_id FROM purchases WHERE {window} AND {where} GROUP BY user_id HAVING {condition}"  # noqa: S608


TOPUP = "kind = 'topup'"
DAYS = "count(DISTINCT (occurred_at AT TIME ZONE 'UTC')::date)"
YOUNG = "SELECT user_id FROM people WHERE now() <= registered_at + interval '2400 hours'"

RULE_SETS: list[tuple[str, list[dict[str, Any]], str]] = [
    ("all", [rule("new_user", account_age_days=100)], YOUNG),
    ("all", [rule("new_user", account_age_days=500)], YOUNG.replace("2400", "12000")),
    ("all", [rule("min_topups", count=3)], having("count(*) >= 3", None, TOPUP)),
    ("all", [rule("min_topups", count=2, window_days=120)], having("count(*) >= 2", 120, TOPUP)),
    ("all", [rule("min_transactions", count=5)], having("count(*) >= 5")),
    ("all", [rule("min_transactions", count=1, window_days=30)], having("count(*) >= 1", 30)),
    ("all", [rule("min_transactions", count=3, window_days=365)], having("count(*) >= 3", 365)),
    ("all", [rule("min_spent", amount="100.00")], having("sum(amount) >= 100")),
    ("all", [rule("min_spent", amount="29.33")], having("sum(amount) >= 29.33")),
    ("all", [rule("min_spent", amount="40.00", window_days=90)], having("sum(amount) >= 40", 90)),
    (
        "all",
        [rule("operator_topup_count", operator_id=O1, count=2)],
        having("count(*) >= 2", None, f"{TOPUP} AND operator_id = '{O1}'"),
    ),
    (
        "all",
        [rule("operator_topup_count", operator_id=O2, count=1, window_days=60)],
        having("count(*) >= 1", 60, f"{TOPUP} AND operator_id = '{O2}'"),
    ),
    (
        "all",
        [rule("operator_spent", operator_id=O1, amount="75.50")],
        having("sum(amount) >= 75.50", None, f"operator_id = '{O1}'"),
    ),
    (
        "all",
        [rule("operator_spent", operator_id=O2, amount="20", window_days=180)],
        having("sum(amount) >= 20", 180, f"operator_id = '{O2}'"),
    ),
    ("all", [rule("active_days", count=4)], having(f"{DAYS} >= 4")),
    ("all", [rule("active_days", count=2, window_days=150)], having(f"{DAYS} >= 2", 150)),
    ("all", [rule("last_active_within", window_days=45)], having("max(occurred_at) + interval '1080 hours' > now()")),
    ("all", [rule("last_active_within", window_days=400)], having("count(*) > 0", 400)),
    (
        "all",
        [rule("min_spent", amount="60"), rule("last_active_within", window_days=180)],
        f"{having('sum(amount) >= 60')} INTERSECT {having('count(*) > 0', 180)}",
    ),
    (
        "any",
        [rule("min_spent", amount="300"), rule("min_transactions", count=2, window_days=60)],
        f"{having('sum(amount) >= 300')} UNION {having('count(*) >= 2', 60)}",
    ),
    (
        "any",
        [rule("operator_spent", operator_id=O1, amount="50"), rule("operator_topup_count", operator_id=O2, count=2)],
        having("sum(amount) >= 50", None, f"operator_id = '{O1}'")
        + " UNION "
        + having("count(*) >= 2", None, f"{TOPUP} AND operator_id = '{O2}'"),
    ),
    (
        "all",
        [rule("active_days", count=2), rule("min_topups", count=1, window_days=200), rule("min_spent", amount="10")],
        " INTERSECT ".join([having(f"{DAYS} >= 2"), having("count(*) >= 1", 200, TOPUP), having("sum(amount) >= 10")]),
    ),
    (
        "any",
        [rule("new_user", account_age_days=100), rule("active_days", count=6), rule("min_topups", count=7)],
        " UNION ".join([YOUNG, having(f"{DAYS} >= 6"), having("count(*) >= 7", None, TOPUP)]),
    ),
    ("any", [rule("min_transactions", count=1, window_days=1)], having("count(*) >= 1", 1)),
    ("all", [rule("min_transactions", count=1000)], having("count(*) >= 1000")),
]


def as_kind(place: int) -> str:
    """Every third purchase of the stream is no topup."""
    return "purchase" if place % 3 == 2 else "topup"


async def keep_plain(pool: Pool, purchases: list[Purchase]) -> None:
    await pool.execute(
        "CREATE TABLE purchases (user_id uuid, operator_id uuid, kind text, amount numeric, occurred_at timestamptz)"
    )
    await pool.copy_records_to_table(
        "purchases",
        records=[
            (p.user_id, p.operator_id, as_kind(place), p.amount, p.occurred_at) for place, p in enumerate(purchases)
        ],
    )
    await pool.execute(
        "CREATE TABLE people AS SELECT user_id, min(occurred_at) AS registered_at FROM purchases GROUP BY user_id"
    )


async def publish(pool: Pool, publisher: Publisher, purchases: list[Purchase]) -> None:
    topups = [
        TopupEvent(
            event_id=uuid4(),
            type="topup.succeeded",
            topup_id=uuid5(IDS, f"purchase {place}"),
            user_id=p.user_id,
            operator_id=p.operator_id,
            kind="purchase" if as_kind(place) == "purchase" else "topup",
            amount=p.amount,
            occurred_at=p.occurred_at,
        )
        for place, p in enumerate(purchases)
    ]
    users = [
        UserEvent(
            event_id=uuid4(),
            type="user.registered",
            user_id=row["user_id"],
            registered_at=row["registered_at"],
            occurred_at=row["registered_at"],
        )
        for row in await pool.fetch("SELECT * FROM people")
    ]
    await publisher.publish_all(Outgoing(TOPUPS, str(event.user_id).encode(), event.to_bytes()) for event in topups)
    await publisher.publish_all(Outgoing(USERS, str(event.user_id).encode(), event.to_bytes()) for event in users)


@pytest.mark.parametrize("stream", [cdnow, generated])
async def test_memberships_are_those_of_plain_sql(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher, stream: Callable[[], list[Purchase]]
) -> None:
    if stream is cdnow and not CDNOW_CSV.exists():
        pytest.skip(f"the CDNOW sample is not at {CDNOW_CSV.name}; set CDNOW_CSV to its path")
    purchases = stream()
    await keep_plain(pool, purchases)
    offers = [await add_offer(pool, rules, eligibility_logic=logic) for logic, rules, _ in RULE_SETS]
    await publish(pool, publisher, purchases)
    async with segmenter_workers(pool, kafka, publisher, 2):
        await until(pool, "SELECT count(*) FROM topup_requests", len(purchases))
        await until(pool, "SELECT count(*) FROM users WHERE created_at IS NULL", 0)
        await until(pool, "SELECT count(*) FROM offer_segment_rebuilds WHERE finished_at IS NULL", 0)
        sizes = []
        for offer_id, (logic, rules, expected) in zip(offers, RULE_SETS, strict=True):
            row = await pool.fetchrow(
                f"""WITH expected AS ({expected}), members AS (
                    SELECT user_id FROM offer_segment_members WHERE offer_id = $1 AND valid_until > now()
                ) SELECT (SELECT count(*) FROM expected) AS expected,
                    (SELECT count(*) FROM (TABLE expected EXCEPT TABLE members) AS e) AS missing,
                    (SELECT count(*) FROM (TABLE members EXCEPT TABLE expected) AS m) AS extra""",  # noqa: S608
                offer_id,
            )
            assert row is not None
            assert (row["missing"], row["extra"]) == (0, 0), f"{logic} of {rules}"
            sizes.append(row["expected"])
    assert sum(size > 0 for size in sizes) >= 22, f"the rule sets tell too little: {sizes}"
    assert len(set(sizes)) >= 20
