"""The README's checkout, run as it stands there."""

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from shared.broker import Publisher
from shared.database import Pool
from shared.settings import KafkaSettings
from tests.support.campaign import add_offer
from tests.support.services import redemption_workers

README = Path(__file__).parents[2] / "README.md"
LINES_MAX = 15


def example() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return str(code)


def test_it_is_short() -> None:
    assert len(example().splitlines()) <= LINES_MAX


async def test_its_checkout_pays_the_discounted_price_once_and_then_learns_why_not(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in kafka.model_dump(exclude_none=True).items():
        monkeypatch.setenv(f"OFFERS_{name.upper()}", str(value))
    await add_offer(pool, code="TEN", per_user_limit=1)
    names: dict[str, Any] = {}
    exec(example(), names)
    user = uuid4()
    async with redemption_workers(pool, kafka, publisher):
        assert str(await names["pay"](user, "TEN")) == "90.00"
        assert await names["pay"](user, "TEN") == "per_user_limit_reached"
