"""The command line: its help, its exit codes, and what it says when something is missing or wrong."""

import json
import signal
import sys
from decimal import Decimal
from uuid import UUID

import pytest
import typer
from typer.testing import CliRunner

import deploy.cli
from deploy.cli import checkout
from deploy.cli.app import app
from deploy.cli.options import amount, id_or_code
from shared.clock import utc_now
from shared.errors import RequestTimeout
from shared.events.redemption_replies import QuotedOffer, RedemptionReply, RuleResult

USER = "10000000-0000-4000-8000-000000000001"
REQUEST = UUID("20000000-0000-4000-8000-000000000002")
KAFKA = {"OFFERS_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}


class FakeClient:
    """Stands in for RedemptionClient: notes what it is asked and answers as told."""

    asked: dict[str, object]
    answer: RedemptionReply | Exception

    def __init__(self, settings: object) -> None:
        pass

    async def __aenter__(self) -> "FakeClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def redeem(self, user_id: UUID, unit_price: Decimal, **more: object) -> RedemptionReply:
        type(self).asked = {"user_id": user_id, "unit_price": unit_price} | more
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def send(self, request: object, timeout_s: float) -> RedemptionReply:
        type(self).asked = {"request": request, "timeout_s": timeout_s}
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    monkeypatch.setattr(checkout, "RedemptionClient", FakeClient)
    return FakeClient


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL"):
        monkeypatch.delenv(f"OFFERS_{name}", raising=False)


def main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the program in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["offers", *arguments])
    with pytest.raises(SystemExit) as ended:
        deploy.cli.main()
    code = ended.value.code
    return code if isinstance(code, int) else 0


def reply(**fields: object) -> RedemptionReply:
    known = {"request_id": REQUEST, "command": "redeem", "status": "accepted", "decided_at": utc_now()}
    return RedemptionReply.model_validate(known | fields)


@pytest.mark.parametrize(
    "command",
    [
        *("up", "migrate", "topics", "logins", "run", "sample"),
        *("topup", "redeem", "quote", "revoke", "explain", "rebuild", "verify", "dlq"),
    ],
)
def test_every_command_of_the_contract_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        (["migrate"], "OFFERS_DATABASE_URL"),
        (["explain", "TEN", USER], "OFFERS_DATABASE_URL"),
        (["rebuild"], "OFFERS_DATABASE_URL"),
        (["logins", "/nowhere"], "OFFERS_DATABASE_URL"),
        (["topics"], "OFFERS_KAFKA_BOOTSTRAP_SERVERS"),
        (["redeem", "TEN", USER, "10.00"], "OFFERS_KAFKA_BOOTSTRAP_SERVERS"),
        (["topup", USER, "10.00", "--operator", USER], "OFFERS_KAFKA_BOOTSTRAP_SERVERS"),
    ],
)
def test_a_missing_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], variable: str
) -> None:
    assert main(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err == f"error: {variable}: is not set\n"


def test_a_service_without_settings_names_each_of_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(monkeypatch, "run", "redemption") == 2
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "error: OFFERS_DATABASE_URL: is not set",
        "error: OFFERS_KAFKA_BOOTSTRAP_SERVERS: is not set",
        "error: OFFERS_REDIS_URL: is not set",
    ]


def test_a_database_that_does_not_answer_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFFERS_DATABASE_URL", "postgresql://offers@127.0.0.1:1/offers")
    assert main(monkeypatch, "explain", "TEN", USER) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: OFFERS_DATABASE_URL: PostgreSQL")


def test_the_sample_names_each_setting_it_lacks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OFFERS_ADMIN_URL", raising=False)
    assert main(monkeypatch, "sample") == 2
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "error: OFFERS_ADMIN_URL: is not set",
        "error: OFFERS_DATABASE_URL: is not set",
        "error: OFFERS_KAFKA_BOOTSTRAP_SERVERS: is not set",
    ]


@pytest.mark.parametrize("module", ["psutil", "platformdirs"])
def test_servers_that_are_not_installed_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], module: str
) -> None:
    def not_installed(**_: object) -> None:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr("deploy.cli.up.StackOptions", not_installed)
    assert main(monkeypatch, "up") == 2
    assert capsys.readouterr().err == f"error: {module} is not installed: pip install 'offers[embedded]'\n"


def test_a_containers_first_process_ends_on_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        main(monkeypatch, "--help")
        assert signal.getsignal(signal.SIGTERM) is before, "everybody else ends without"
        monkeypatch.setattr("os.getpid", lambda: 1)
        main(monkeypatch, "--help")
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGTERM)
        assert ended.value.code == 143
    finally:
        signal.signal(signal.SIGTERM, before)


def test_redeem_passes_on_what_it_is_given(client: type[FakeClient]) -> None:
    client.answer = reply()
    arguments = ["redeem", "TEN", USER, "12.50", "--quantity", "3", "--request-id", str(REQUEST), "--timeout", "2"]
    result = CliRunner().invoke(app, arguments, env=KAFKA)
    assert result.exit_code == 0, result.output
    assert client.asked == {
        "user_id": UUID(USER),
        "unit_price": Decimal("12.50"),
        "offer_id": None,
        "code": "TEN",
        "quantity": 3,
        "operator_product_id": None,
        "supplier_product_mapping_id": None,
        "request_id": REQUEST,
        "timeout_s": 2.0,
    }


def test_redeem_prints_the_raw_reply_as_json_and_exits_1_when_rejected(client: type[FakeClient]) -> None:
    client.answer = reply(status="rejected", reason="offer_ended", price="12.50")
    result = CliRunner().invoke(app, ["redeem", "TEN", USER, "12.50", "--json"], env=KAFKA)
    assert result.exit_code == 1
    printed = json.loads(result.stdout)
    assert (printed["status"], printed["reason"], printed["price"]) == ("rejected", "offer_ended", "12.50")


def test_a_rejection_is_explained_rule_by_rule(client: type[FakeClient]) -> None:
    rule = RuleResult(
        rule_key="regular",
        rule_type="min_topups",
        passed=False,
        required=5,
        actual=3,
        valid_until=None,
        missing="2 more topups",
    )
    client.answer = reply(status="rejected", reason="not_eligible", explanation=[rule])
    output = CliRunner().invoke(app, ["redeem", "TEN", USER, "12.50"], env=KAFKA).output
    assert "redeem rejected: not_eligible" in output
    assert output.splitlines()[-1].split() == ["regular", "min_topups", "5", "3", "no", "2", "more", "topups"]


def test_a_quote_lists_the_usable_offers(client: type[FakeClient]) -> None:
    usable = QuotedOffer(
        offer_id=REQUEST, code="TEN", title="Ten", discount_amount=Decimal("1.25"), price_paid=Decimal("11.25")
    )
    client.answer = reply(command="quote", offers=[usable])
    result = CliRunner().invoke(app, ["quote", USER, "12.50"], env=KAFKA)
    assert result.exit_code == 0
    assert result.output.splitlines()[-1].split() == ["TEN", "Ten", "1.25", "11.25"]


def test_no_reply_in_time_is_one_line_and_exit_code_2(
    client: type[FakeClient], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client.answer = RequestTimeout("no reply to the redeem within 2 s")
    monkeypatch.setenv("OFFERS_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert main(monkeypatch, "redeem", "TEN", USER, "12.50") == 2
    assert capsys.readouterr().err == "error: no reply to the redeem within 2 s\n"


def test_an_impossible_request_is_refused_before_it_is_sent(
    client: type[FakeClient], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OFFERS_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    assert main(monkeypatch, "quote", USER, "0.001") == 2
    assert capsys.readouterr().err.startswith("error: unit_price: ")


@pytest.mark.parametrize("text", ["ten", "NaN", "Infinity", ""])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        amount(text)


def test_an_offer_is_named_by_id_or_by_code() -> None:
    assert id_or_code(str(REQUEST)) == (REQUEST, None)
    assert id_or_code("TEN") == (None, "TEN")
