"""`offers verify`: a sound database passes, and each way to break an invariant is named."""

import asyncio
from typing import Final
from uuid import uuid4

import orjson
import pytest
import typer
from typer.testing import CliRunner

from deploy.cli.verify import verify as verify_command
from deploy.verification import Check, Scope, verify, verify_settled
from shared.broker import Publisher
from shared.database import Pool
from shared.settings import KafkaSettings
from shared.topics import REDEMPTION_REPLIES
from tests.support.audit import audit_worker, tamper
from tests.support.campaign import add_offer
from tests.support.requests import message, redeem
from tests.support.services import redemption_workers
from tests.support.sound import Campaign
from tests.support.topics import reading

SMALL: Final = Scope(full_max=400)


@pytest.fixture
async def campaign(pool: Pool) -> Campaign:
    built = Campaign(pool)
    await built.build()
    return built


async def test_a_sound_database_passes_and_each_check_says_what_it_examined(campaign: Campaign) -> None:
    checks: list[Check] = []
    async with campaign.pool.acquire() as connection:
        assert await verify(connection, progress=checks.append) == []
    assert [(check.invariant, check.examined) for check in checks] == [
        (1, "2 offers"),
        (2, "1 users of limited offers"),
        (3, "4 decisions"),
        (4, "1 memberships, 3 users × offers"),
        (5, "3 events in 1 chains"),
    ]


async def test_an_empty_database_passes(pool: Pool) -> None:
    assert await Campaign(pool).check() == []


BREAKS = {
    "usage_count too high": (
        "UPDATE offers SET usage_count = 3 WHERE id = '{limited}'",
        (1, "offers", "limited", "usage_count is 3, but 1 redemptions are not revoked"),
    ),
    "usage_count too low": (
        "UPDATE offers SET usage_count = 0 WHERE id = '{limited}'",
        (1, "offers", "limited", "usage_count is 0, but 1 redemptions are not revoked"),
    ),
    "above total_usage_limit": (
        "ALTER TABLE offers DROP CONSTRAINT offers_usage_within_limit;"
        " ALTER TABLE offers DROP CONSTRAINT offers_total_usage_limit_positive;"
        " UPDATE offers SET total_usage_limit = 0 WHERE id = '{limited}'",
        (1, "offers", "limited", "1 uses are above total_usage_limit 0"),
    ),
    "above per_user_limit": (
        "UPDATE offer_redemptions SET revoked_at = NULL WHERE id = '{revoked}';"
        " DELETE FROM redemption_decisions WHERE command = 'revoke';"
        " UPDATE offers SET usage_count = 2 WHERE id = '{limited}'",
        (2, "offer_redemptions", "offer limited, user buyer", "2 redemptions are not revoked, per_user_limit is 1"),
    ),
    "two redemptions of one request": (
        "ALTER TABLE offer_redemptions DROP CONSTRAINT offer_redemptions_request_unique;"
        " UPDATE redemption_decisions SET request_id = '00000000-0000-0000-0000-000000000001'"
        " WHERE redemption_id = '{standing}';"
        " DELETE FROM redemption_decisions WHERE redemption_id = '{revoked}' AND command = 'redeem';"
        " UPDATE offer_redemptions SET request_id = '00000000-0000-0000-0000-000000000001'",
        (
            3,
            "offer_redemptions",
            "request 00000000-0000-0000-0000-000000000001",
            "2 redemptions come from this one request",
        ),
    ),
    "accepted without a redemption": (
        "UPDATE redemption_decisions SET request_id = '00000000-0000-0000-0000-000000000001'"
        " WHERE redemption_id = '{standing}';"
        " INSERT INTO redemption_decisions SELECT r.request_id, '', 'redeem', 'accepted', NULL, r.offer_id, r.user_id,"
        " r.id, '{{}}', '{{}}', now() FROM offer_redemptions AS r WHERE r.id = '{standing}'",
        (
            3,
            "redemption_decisions",
            "00000000-0000-0000-0000-000000000001",
            "accepted, but no redemption of its user and offer names it",
        ),
    ),
    "a redemption of a rejected request": (
        "UPDATE redemption_decisions SET status = 'rejected', reason = 'offer_ended',"
        " request_id = '00000000-0000-0000-0000-000000000001' WHERE redemption_id = '{standing}';"
        " UPDATE offer_redemptions SET request_id = '00000000-0000-0000-0000-000000000001' WHERE id = '{standing}'",
        (
            3,
            "offer_redemptions",
            "standing",
            "its request 00000000-0000-0000-0000-000000000001 was rejected: offer_ended",
        ),
    ),
    "a redemption without a decision": (
        "UPDATE offer_redemptions SET request_id = '00000000-0000-0000-0000-000000000001' WHERE id = '{standing}';"
        " DELETE FROM redemption_decisions WHERE redemption_id = '{standing}'",
        (
            3,
            "offer_redemptions",
            "standing",
            "its request 00000000-0000-0000-0000-000000000001 has no stored decision",
        ),
    ),
    "an accepted revoke that revoked nothing": (
        "UPDATE redemption_decisions SET redemption_id = '00000000-0000-0000-0000-000000000002',"
        " request_id = '00000000-0000-0000-0000-000000000001' WHERE command = 'revoke';"
        " UPDATE offer_redemptions SET revoked_at = '2020-01-01' WHERE id = '{revoked}'",
        (
            3,
            "redemption_decisions",
            "00000000-0000-0000-0000-000000000001",
            "an accepted revoke, but redemption 00000000-0000-0000-0000-000000000002 is not revoked",
        ),
    ),
    "revoked without a decision": (
        "DELETE FROM redemption_decisions WHERE command = 'revoke'",
        (3, "offer_redemptions", "revoked", "revoked, but no accepted revoke is stored"),
    ),
    "a member who is not eligible": (
        "INSERT INTO offer_segment_members (offer_id, user_id, valid_until)"
        " VALUES ('{ruled}', '{stranger}', 'infinity')",
        (4, "offer_segment_members", "offer ruled, user stranger", "a member until infinity, but not eligible now"),
    ),
    "an eligible user who is no member": (
        "DELETE FROM offer_segment_members",
        (
            4,
            "offer_segment_members",
            "offer ruled, user regular",
            "eligible now, but no row that has not lapsed says so",
        ),
    ),
    "an eligible user whose row has lapsed": (
        "UPDATE offer_segment_members SET valid_until = now()",
        (
            4,
            "offer_segment_members",
            "offer ruled, user regular",
            "eligible now, but no row that has not lapsed says so",
        ),
    ),
    "an unaudited redemption": (
        "SET session_replication_role = replica; DELETE FROM audit_log; DELETE FROM audit_chains;"
        " UPDATE offer_redemptions SET revoked_at = NULL; DELETE FROM redemption_decisions WHERE command = 'revoke';"
        " DELETE FROM redemption_decisions WHERE redemption_id = '{revoked}';"
        " DELETE FROM offer_redemptions WHERE id = '{revoked}'",
        (5, "offer_redemptions", "standing", "no audit event redemption.accepted"),
    ),
    "an unaudited revocation": (
        "UPDATE offer_redemptions SET revoked_at = now() WHERE id = '{standing}';"
        " INSERT INTO redemption_decisions SELECT gen_random_uuid(), '', 'revoke', 'accepted', NULL, r.offer_id,"
        " r.user_id, r.id, '{{}}', '{{}}', now() FROM offer_redemptions AS r WHERE r.id = '{standing}';"
        " UPDATE offers SET usage_count = 0 WHERE id = '{limited}'",
        (5, "offer_redemptions", "standing", "revoked, but no audit event redemption.revoked"),
    ),
    "a row cut out of the audit log": (
        "SET session_replication_role = replica; DELETE FROM audit_log WHERE sequence = 3;"
        " UPDATE offer_redemptions SET revoked_at = NULL;"
        " DELETE FROM redemption_decisions WHERE command = 'revoke';"
        " UPDATE offers SET usage_count = 2, per_user_limit = 2 WHERE id = '{limited}'",
        (5, "audit_log", "chain 0, sequence 3", "row 3 is missing"),
    ),
}


@pytest.mark.parametrize("case", BREAKS)
async def test_each_breach_is_named_with_its_invariant_and_row(campaign: Campaign, case: str) -> None:
    script, breach = BREAKS[case]
    assert await campaign.broken(script) == [breach]


async def test_a_row_may_promise_less_than_the_truth_but_not_more(campaign: Campaign) -> None:
    assert await campaign.broken("UPDATE offer_segment_members SET valid_until = valid_until - interval '1 day'") == []
    ((invariant, _, row, problem),) = await campaign.broken(
        "UPDATE offer_segment_members SET valid_until = valid_until + interval '1 day 1 microsecond'"
    )
    assert (invariant, row) == (4, "offer ruled, user regular")
    assert "but eligible only until" in problem


async def test_an_altered_audit_row_is_named_with_its_event(campaign: Campaign) -> None:
    ((invariant, table, row, _),) = await campaign.broken(
        "SET session_replication_role = replica; UPDATE audit_log SET actor = 'x' WHERE sequence = 2"
    )
    event = await campaign.pool.fetchval("SELECT event_id FROM audit_log WHERE sequence = 2")
    assert (invariant, table, row) == (5, "audit_log", f"chain 0, sequence 2, event {event}")


async def test_what_is_no_breach(campaign: Campaign) -> None:
    # A lapsed row of a user who isn't eligible: the sweep will come.
    lapsed = (
        "INSERT INTO offer_segment_members (offer_id, user_id, valid_until) VALUES ('{ruled}', '{stranger}', now())"
    )
    assert await campaign.broken(lapsed) == []
    # Decisions are kept so long and no longer.
    assert (
        await campaign.broken(
            "UPDATE offer_redemptions SET created_at = now() - interval '91 days';"
            " UPDATE offer_redemptions SET revoked_at = revoked_at - interval '91 days';"
            " DELETE FROM redemption_decisions"
        )
        == []
    )
    # Drafts keep no members.
    assert await campaign.broken("UPDATE offers SET status = 'draft'; DELETE FROM offer_segment_members") == []


async def test_rows_of_older_rules_are_judged_once_their_rebuild_is_done(campaign: Campaign) -> None:
    stricter = (
        "UPDATE offer_eligibility_rules SET params = '{{\"count\": 9}}';"
        " INSERT INTO offer_segment_rebuilds (offer_id, rules_version, live) SELECT id, rules_version, true"
        " FROM offers WHERE id = '{ruled}'"
    )
    assert await campaign.broken(stricter) == []
    done = await campaign.broken("UPDATE offer_segment_rebuilds SET finished_at = now()")
    assert [(invariant, row) for invariant, _, row, _ in done] == [(4, "offer ruled, user regular")]
    looser = (
        "DELETE FROM offer_segment_members; UPDATE offer_eligibility_rules SET params = '{{\"count\": 1}}';"
        " UPDATE offer_segment_rebuilds SET finished_at = NULL"
    )
    assert await campaign.broken(looser) == []


async def test_beyond_the_full_size_a_sample_is_checked(campaign: Campaign) -> None:
    await campaign.pool.execute("INSERT INTO users (id) SELECT gen_random_uuid() FROM generate_series(1, 2000)")
    await campaign.pool.execute(
        "INSERT INTO offer_segment_members (offer_id, user_id, valid_until)"
        " SELECT $1, id, 'infinity' FROM users WHERE created_at IS NULL",
        campaign.ruled,
    )
    assert len(await campaign.check()) == 2_000
    assert 100 < len(await campaign.check(SMALL)) < 1_000
    await campaign.pool.execute("DELETE FROM offer_segment_members")
    await campaign.pool.execute(
        "UPDATE offer_eligibility_rules SET rule_type = 'new_user', params = $1", {"account_age_days": 1}
    )
    await campaign.pool.execute("UPDATE users SET created_at = now()")
    assert len(await campaign.check()) == 2_003
    assert 100 < len(await campaign.check(SMALL)) < 1_000


async def test_the_longest_check_tells_how_far_it_is(campaign: Campaign) -> None:
    said: list[str] = []
    await campaign.check(Scope(say=said.append))
    assert said[-1].startswith("audit chains: 3 of about ")


async def test_what_is_on_its_way_is_waited_for(campaign: Campaign) -> None:
    await tamper(campaign.pool, "DELETE FROM audit_log WHERE sequence = 3")
    await campaign.pool.execute(
        "UPDATE audit_chains SET (sequence, hash) = (SELECT sequence, hash FROM audit_log WHERE sequence = 2)"
    )
    missing_seen = asyncio.Event()

    def notice(check: Check) -> None:
        if check.breaches:
            missing_seen.set()

    async def catch_up() -> None:
        await missing_seen.wait()
        await campaign.audit("redemption.revoked", campaign.revoked)

    async with campaign.pool.acquire() as connection:
        catching_up = asyncio.create_task(catch_up())
        checks = await verify_settled(connection, 30, progress=notice)
        await catching_up
        assert [breach for check in checks for breach in check.breaches] == []
        await tamper(campaign.pool, "DELETE FROM audit_log WHERE sequence = 3")
        late = await verify_settled(connection, 0.1)
    assert [breach.row for check in late for breach in check.breaches] == [
        str(campaign.revoked),
        "chain 0, sequence 3",
    ]


async def test_a_played_campaign_leaves_a_sound_database(
    pool: Pool, kafka: KafkaSettings, publisher: Publisher
) -> None:
    campaign = Campaign(pool)
    offers = [await add_offer(pool, total_usage_limit=10), await add_offer(pool, per_user_limit=1)]
    user = uuid4()
    redeems = [redeem(offer, user if place % 2 else None) for offer in offers for place in range(20)]
    async with redemption_workers(pool, kafka, publisher), reading(kafka, REDEMPTION_REPLIES) as replies:
        await publisher.publish_all(message(request) for request in redeems)
        await replies.read(40)
        revokes = [
            {"command": "revoke", "request_id": str(uuid4()), "redeem_request_id": request["request_id"]}
            for request in redeems[::3]
        ]
        await publisher.publish_all(message(request) for request in revokes)
        await replies.read(40 + len(revokes))
    unaudited = {breach.invariant for breach in await campaign.check()}
    async with audit_worker(pool, kafka, publisher), pool.acquire() as connection:
        checks = await verify_settled(connection, 30)
    assert unaudited == {5}
    assert [breach for check in checks for breach in check.breaches] == []
    assert await pool.fetchval("SELECT count(*) FROM offer_redemptions WHERE revoked_at IS NOT NULL") > 0


async def test_the_command_exits_by_what_it_found(
    campaign: Campaign, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFERS_DATABASE_URL", database_url)
    app = typer.Typer()
    app.command()(verify_command)

    async def run(*arguments: str) -> tuple[int, str]:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["--wait", "0", *arguments])
        return result.exit_code, result.stdout

    code, text = await run()
    assert (code, "All five invariants hold." in text) == (0, True)
    code, text = await run("--json")
    report = orjson.loads(text)
    assert (code, report["ok"], report["breaches"]) == (0, True, [])
    assert [check["invariant"] for check in report["checks"]] == [1, 2, 3, 4, 5]

    await campaign.pool.execute("UPDATE offers SET usage_count = 3 WHERE id = $1", campaign.limited)
    code, text = await run()
    named = f"1  offers  {campaign.limited}: usage_count is 3, but 1 redemptions are not revoked"
    assert (code, named in text.splitlines()) == (1, True)
    code, text = await run("--json")
    report = orjson.loads(text)
    assert (code, report["ok"]) == (1, False)
    assert report["breaches"] == [
        {
            "invariant": 1,
            "table": "offers",
            "row": str(campaign.limited),
            "problem": "usage_count is 3, but 1 redemptions are not revoked",
        }
    ]
