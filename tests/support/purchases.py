"""Streams of purchases: the CDNOW sample of real customers where its file is at hand, and a generated one.

CDNOW_CSV names the file (columns customer, date, quantity, amount); without it the file is looked for in
`shared/data` beside the checkout.
"""

import csv
import os
import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid5

IDS = UUID("5b8f0e58-1d0f-4b6e-8a51-7f3c2d9e0a05")
OPERATORS = [uuid5(IDS, f"operator {number}") for number in range(4)]
CDNOW_CSV = Path(os.environ.get("CDNOW_CSV", Path(__file__).parents[3] / "shared" / "data" / "cdnow_sample.csv"))


@dataclass(frozen=True)
class Purchase:
    """One purchase of one customer."""

    user_id: UUID
    operator_id: UUID
    amount: Decimal
    occurred_at: datetime


def _placed(rows: list[tuple[int, date, Decimal]]) -> list[Purchase]:
    """Shift the stream so that its last purchase is today; purchases of one day get distinct times."""
    shift = datetime.now(UTC).date() - max(day for _, day, _ in rows)
    seen: Counter[tuple[int, date]] = Counter()
    purchases = []
    for customer, day, amount in rows:
        seen[customer, day] += 1
        midnight = datetime.combine(day + shift, datetime.min.time(), UTC)
        purchases.append(
            Purchase(
                user_id=uuid5(IDS, f"customer {customer}"),
                operator_id=OPERATORS[customer % 4],
                amount=amount,
                occurred_at=midnight + timedelta(seconds=seen[customer, day]),
            )
        )
    return purchases


def cdnow() -> list[Purchase]:
    """The CDNOW sample: 6,919 purchases of 2,357 customers over eighteen months."""
    with CDNOW_CSV.open(newline="", encoding="utf-8") as file:
        rows = [
            (int(row["customer"]), date.fromisoformat(row["date"]), Decimal(row["amount"]))
            for row in csv.DictReader(file)
        ]
    return _placed(rows)


def generated(seed: int = 20261124) -> list[Purchase]:
    """4,000 purchases of 700 customers over eighteen months, some far more active than others."""
    chance = random.Random(seed)
    start = date(2025, 1, 1)
    rows = []
    for _ in range(4_000):
        customer = int(chance.paretovariate(0.4)) % 700
        day = start + timedelta(days=chance.randrange(540))
        rows.append((customer, day, Decimal(chance.randrange(0, 12_000)) / 100))
    return _placed(rows)
