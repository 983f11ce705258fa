"""`offers explain --decision`: decisions come out the same when made again, and a record that lies is found out."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
import pytest
from typer.testing import CliRunner, Result

from deploy.cli.app import app
from services.audit.handler import AuditHandler
from services.redemption.requests import read_request
from shared.batches import Received
from shared.database import Pool
from shared.errors import OffersError
from shared.events.audit_events import AuditEvent
from shared.topics import AUDIT_EVENTS
from tests.support.audit import received, tamper
from tests.support.campaign import add_offer
from tests.support.deciding import redemption_handler, replies_to, request_record
from tests.support.requests import redeem

PRODUCT: Final = uuid4()
DAY: Final = timedelta(days=1)
TWO_TOPUPS: Final = {"rule_type": "min_topups", "params": {"count": 2, "window_days": 30}}


async def explain(database_url: str, request_id: str, *options: str) -> Result:
    """`offers explain --decision`, run as in a process of its own."""
    arguments = ["explain", "--decision", request_id, *options]
    return await asyncio.to_thread(CliRunner().invoke, app, arguments, env={"OFFERS_DATABASE_URL": database_url})


async def decide(pool: Pool, request: dict[str, Any]) -> dict[str, Any]:
    """What the redemption service replies."""
    (reply,) = await replies_to(redemption_handler(pool), [orjson.dumps(request)])
    decided: dict[str, Any] = orjson.loads(reply)
    return decided


async def audit(pool: Pool, request: dict[str, Any]) -> AuditEvent:
    """Put what the service publishes for audit into the audit log; a repeat publishes what the first time did."""
    value = orjson.dumps(request)
    handler = redemption_handler(pool)
    (event,) = [
        AuditEvent.model_validate_json(outgoing.value or b"")
        for outgoing in await handler([Received(read_request(value), request_record(0, value))])
        if outgoing.topic == AUDIT_EVENTS
    ]
    await AuditHandler(pool)(received([event]))
    return event


async def requests_by_reason(pool: Pool) -> dict[str, dict[str, Any]]:
    """A request for each reason a decision may have, `accepted` and `revoked` among them; those before are decided."""
    now, user = datetime.now(UTC), uuid4()
    plain = await add_offer(pool, code="PLAIN")
    scoped = await add_offer(pool, apply_to="products", discount_type="fixed_amount", discount_value="7.25")
    await pool.execute(
        "INSERT INTO offer_products (offer_id, operator_product_id, price_override, max_quantity_per_purchase)"
        " VALUES ($1, $2, 80.55, 2)",
        scoped,
        PRODUCT,
    )
    used = redeem(await add_offer(pool, per_user_limit=1), user)
    sold_out = await add_offer(pool, total_usage_limit=1)
    revoked = redeem(plain, user)
    for request in (used, redeem(sold_out), revoked):
        assert (await decide(pool, request))["status"] == "accepted"
    revoke = {"command": "revoke", "request_id": str(uuid4()), "redeem_request_id": revoked["request_id"]}
    return {
        "accepted": redeem(scoped, user, operator_product_id=str(PRODUCT), quantity=2),
        "accepted by code": redeem(None, user, code="PLAIN"),
        "invalid_request": redeem(plain, unit_price="free"),
        "deadline_passed": redeem(plain, deadline=(now - DAY).isoformat()),
        "offer_not_found": redeem(uuid4()),
        "offer_inactive": redeem(await add_offer(pool, status="paused")),
        "offer_not_started": redeem(await add_offer(pool, starts_at=now + DAY)),
        "offer_ended": redeem(await add_offer(pool, ends_at=now - DAY)),
        "product_not_covered": redeem(scoped),
        "quantity_exceeded": redeem(scoped, operator_product_id=str(PRODUCT), quantity=3),
        "user_not_allowed": redeem(await add_offer(pool, allow_all=False)),
        "not_eligible": redeem(await add_offer(pool, [TWO_TOPUPS])),
        "per_user_limit_reached": redeem(used["offer_id"], user),
        "offer_exhausted": redeem(sold_out),
        "revoked": revoke,
        "already_revoked": revoke | {"request_id": str(uuid4())},
        "redemption_not_found": revoke | {"request_id": str(uuid4()), "redeem_request_id": str(uuid4())},
        "revoked too late": revoke | {"request_id": str(uuid4()), "deadline": (now - DAY).isoformat()},
    }


async def test_every_decision_is_made_again_with_the_same_result(database_url: str, pool: Pool) -> None:
    requests = await requests_by_reason(pool)
    replies = {name: await decide(pool, request) for name, request in requests.items()}
    for name in ("accepted", "accepted by code", "revoked"):
        assert replies[name]["reason"] is None
    assert replies["revoked too late"]["reason"] == "deadline_passed"
    for name in requests.keys() - {"accepted", "accepted by code", "revoked", "revoked too late"}:
        assert replies[name]["reason"] == name
    # What the offers are by now, and who used them meanwhile, is no part of a decision made before.
    await pool.execute("UPDATE offers SET discount_value = 99, status = 'archived', title = 'Another'")
    await pool.execute("DELETE FROM offer_products")
    for name, request in requests.items():
        await audit(pool, request)
        explained = await explain(database_url, request["request_id"], "--json")
        assert explained.exit_code == 0, (name, explained.output)
        document = json.loads(explained.stdout)
        assert (document["replay"], document["differences"], document["audited"]) == ("equal", [], True), name
        assert document["reply"] == replies[name]


async def test_a_decision_tells_what_was_known_then(database_url: str, pool: Pool) -> None:
    offer_id, user = await add_offer(pool, per_user_limit=3, total_usage_limit=9, title="Once"), uuid4()
    await decide(pool, redeem(offer_id, user))
    await decide(pool, redeem(offer_id))
    await pool.execute("UPDATE offers SET discount_value = 20")
    request = redeem(offer_id, user)
    await decide(pool, request)
    document = json.loads((await explain(database_url, request["request_id"], "--json")).stdout)
    known = {"definition_version": 2, "allowed": True, "eligible": True, "uses": 1, "usage_count": 2}
    assert document["inputs"] == {"offer": known}
    assert (document["definition"]["title"], document["definition"]["discount_value"]) == ("Once", "20.00")
    assert (await audit(pool, request)).data["inputs"] == {"offer": known}
    shown = (await explain(database_url, request["request_id"])).stdout
    for text in ("redeem accepted", str(user), "20.00", "deciding again gives the same"):
        assert text in shown


@pytest.mark.parametrize(
    ("tampering", "fields"),
    [
        ("""reply = replace(reply, '"price_paid":"90.00"', '"price_paid":"80.00"')""", ["price_paid"]),
        ("reply = replace(reply, 'accepted', 'rejected')", ["status"]),
        ("offer_id = gen_random_uuid()", ["inputs"]),
        ("user_id = gen_random_uuid()", ["stored user_id"]),
        ("status = 'rejected', reason = 'offer_ended'", ["stored reason", "stored status"]),
        ("""request = jsonb_set(request, '{quantity}', '2')""", ["discount_amount", "hash of the request", "price"]),
        ("""inputs = replace(inputs, '"allowed":true', '"allowed":false')""", ["price_paid", "reason", "status"]),
        ("inputs = '{}'", ["inputs"]),
        ("decided_at = decided_at + interval '1 second'", ["decided_at"]),
    ],
)
async def test_a_record_that_was_tampered_with_is_reported(
    database_url: str, pool: Pool, tampering: str, fields: list[str]
) -> None:
    request = redeem(await add_offer(pool))
    await decide(pool, request)
    await pool.execute(f"UPDATE redemption_decisions SET {tampering}")  # noqa: S608
    explained = await explain(database_url, request["request_id"], "--json")
    document = json.loads(explained.stdout)
    assert (explained.exit_code, document["replay"]) == (1, "different")
    assert set(fields) <= {difference["field"] for difference in document["differences"]}


async def test_a_forged_decision_that_agrees_with_itself_disagrees_with_the_audit_log(
    database_url: str, pool: Pool
) -> None:
    offer_id = await add_offer(pool, per_user_limit=1)
    request, other = redeem(offer_id), redeem(offer_id)
    await decide(pool, request)
    await decide(pool, other)
    await audit(pool, request)
    await pool.execute(
        """UPDATE redemption_decisions SET inputs = replace(inputs, '"usage_count":0', '"usage_count":7')"""
    )
    document = json.loads((await explain(database_url, request["request_id"], "--json")).stdout)
    assert [difference["field"] for difference in document["differences"]] == ["audited inputs"]


async def test_the_audit_log_tells_of_decisions_the_service_keeps_no_longer(database_url: str, pool: Pool) -> None:
    requests = await requests_by_reason(pool)
    for request in requests.values():
        await decide(pool, request)
        await audit(pool, request)
    await pool.execute("DELETE FROM redemption_decisions")
    for name in requests.keys() - {"revoked"}:  # That is filed under the redemption, which doesn't name its revoke.
        explained = await explain(database_url, requests[name]["request_id"], "--json")
        assert explained.exit_code == 0, (name, explained.output)
        document = json.loads(explained.stdout)
        assert (document["replay"], document["audited"]) == ("equal", True), name
    await tamper(pool, """UPDATE audit_log SET data = jsonb_set(data, '{reply,price_paid}', '"0.00"')""")
    forged = await explain(database_url, requests["accepted"]["request_id"], "--json")
    assert (forged.exit_code, json.loads(forged.stdout)["replay"]) == (1, "different")


async def test_decisions_without_inputs_are_shown_and_said_to_be_older(database_url: str, pool: Pool) -> None:
    request = redeem(await add_offer(pool))
    await decide(pool, request)
    await pool.execute("UPDATE redemption_decisions SET inputs = NULL")
    shown = await explain(database_url, request["request_id"])
    assert shown.exit_code == 0
    assert "redeem accepted" in shown.stdout
    assert "it was decided before that was kept" in shown.stdout


async def test_an_unknown_request_and_half_a_question_are_refused(database_url: str, pool: Pool) -> None:
    unknown = await explain(database_url, str(UUID(int=1)))
    assert isinstance(unknown.exception, OffersError)
    assert "no decision on request 00000000-0000-0000-0000-000000000001 is kept" in str(unknown.exception)
    both = await explain(database_url, str(UUID(int=1)), "CODE")
    assert both.exit_code == 2
    assert "either OFFER and USER, or --decision REQUEST_ID, is needed" in both.output


async def test_the_last_version_of_a_change_is_the_one_kept(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        offer_id = await add_offer(connection, discount_value=5)
        await connection.execute("UPDATE offers SET discount_value = 6")
        await connection.execute(
            "INSERT INTO offer_products (offer_id, operator_product_id) VALUES ($1, $2)", offer_id, PRODUCT
        )
    rows = await pool.fetch("SELECT definition_version, definition FROM offer_definitions")
    assert [row["definition_version"] for row in rows] == [3]
    assert rows[0]["definition"]["discount_value"] == "6.00"
    assert [product["operator_product_id"] for product in rows[0]["definition"]["products"]] == [str(PRODUCT)]
    await pool.execute("UPDATE offers SET usage_count = 1, description = 'Other words'")
    assert await pool.fetchval("SELECT count(*) FROM offer_definitions") == 1
    await pool.execute("DELETE FROM offers")
    assert await pool.fetchval("SELECT count(*) FROM offer_definitions") == 1
