"""The sample campaign is what it says: the same for a seed, about every rule type, played against any system."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.sample.campaign import invent
from deploy.sample.offers import UNKNOWN, WEIGHTS, drafts
from deploy.sample.traffic import invent_checkouts
from tests.support.stack import RunningStack, running_stack

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def offers() -> list[dict[str, Any]]:
    return drafts(invent(7, NOW), NOW)


def test_the_same_seed_gives_the_same_campaign() -> None:
    assert invent(7, NOW) == invent(7, NOW)
    assert invent(7, NOW) != invent(8, NOW)
    assert invent_checkouts(7, invent(7, NOW), NOW) == invent_checkouts(7, invent(7, NOW), NOW)


def test_the_offers_use_every_rule_type_and_both_logics() -> None:
    rule_types = {rule["rule_type"] for offer in offers() for rule in offer.get("rules", [])}
    assert rule_types == {
        "new_user",
        "min_topups",
        "min_transactions",
        "min_spent",
        "operator_topup_count",
        "operator_spent",
        "active_days",
        "last_active_within",
    }
    assert {offer.get("eligibility_logic", "all") for offer in offers()} == {"all", "any"}
    assert {offer["discount_type"] for offer in offers()} == {"percentage", "fixed_amount", "price_override"}


def test_checkouts_try_every_offer_and_an_unknown_one() -> None:
    assert set(WEIGHTS) == {offer["code"] for offer in offers()} | {UNKNOWN}
    checkouts = invent_checkouts(7, invent(7, NOW), NOW)
    assert {checkout.redeem.code for checkout in checkouts} == set(WEIGHTS)
    assert len({checkout.redeem.request_id for checkout in checkouts}) == len(checkouts)


def test_the_history_lies_in_the_past_and_some_of_it_comes_twice() -> None:
    campaign = invent(7, NOW)
    assert all(event.occurred_at <= NOW for event in campaign.topups)
    assert campaign.topup_count < len(campaign.topups)


async def offers_command(stack: RunningStack, *arguments: str) -> tuple[int | None, str]:
    """A command against the running system, by its environment alone."""
    environment = {
        f"OFFERS_{name.upper()}": str(value) for name, value in stack.kafka.model_dump(exclude_none=True).items()
    } | {"OFFERS_DATABASE_URL": stack.ready["database_url"], "OFFERS_ADMIN_URL": stack.ready["admin_url"]}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", *arguments),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_it_is_played_once_against_a_system_that_runs_already_with_a_token_of_its_own(tmp_path: Path) -> None:
    async with running_stack(tmp_path) as stack:
        code, output = await offers_command(stack, "sample")
        assert code == 0, output
        assert output.count("✓") == 5
        code, output = await offers_command(stack, "sample")
        assert code == 2
        assert output.endswith(
            "error: the sample campaign is in this database already, and can be played once in each\n"
        )
        _, listed = await offers_command(stack, "token", "list", "--json")
        tokens = [token for token in json.loads(listed) if token["name"] == "sample"]
        assert [(token["role"], token["revoked_at"] is None) for token in tokens] == [("editor", False)] * 2
