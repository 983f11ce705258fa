"""Who may do what on a cluster: the list as it is printed, for people and for Kafka's own tool."""

import json

import pytest
from typer.testing import CliRunner

from deploy.cli.app import app
from deploy.kafka.acls import LOGINS, Operation, Resource, entries

TOOL = 'kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN_PROPERTIES" --add --allow-principal '


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["acls", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(autouse=True)
def _no_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OFFERS_KAFKA_TOPIC_PREFIX", raising=False)


def test_only_those_that_record_something_and_who_replays_dead_letters_write_audit_events() -> None:
    writers = {
        entry.principal
        for entry in entries()
        if entry.operation is Operation.Write and "audit.events".startswith(entry.name)
    }
    assert writers == {"User:redemption", "User:segmenter", "User:admin", "User:operator"}


def test_a_group_of_a_service_is_read_by_nobody_else() -> None:
    readers = {
        (entry.name, entry.principal)
        for entry in entries()
        if entry.resource is Resource.group and entry.operation is Operation.Read and entry.name.startswith("o")
    }
    assert readers == {
        ("offers.redemption.redemption.requests", "User:redemption"),
        ("offers.redemption.offers.changed", "User:redemption"),
        ("offers.segmenter.topups", "User:segmenter"),
        ("offers.segmenter.users", "User:segmenter"),
        ("offers.segmenter.offers.changed", "User:segmenter"),
        ("offers.audit.audit.events", "User:audit"),
    }


def test_the_list_is_printed_for_kafkas_own_tool() -> None:
    lines = printed("--print", "kafka-acls").splitlines()
    assert len(lines) == len(entries())
    assert [line.removeprefix(TOOL) for line in lines if "User:redemption " in line] == [
        "User:redemption --operation Read --topic redemption.requests",
        "User:redemption --operation Read --topic offers.changed",
        "User:redemption --operation Write --topic redemption.replies",
        "User:redemption --operation Write --topic audit.events",
        "User:redemption --operation Write --topic redemption.requests.dlq",
        "User:redemption --operation Write --topic offers.changed.dlq",
        "User:redemption --operation Write --topic redemption.replies. --resource-pattern-type prefixed",
        "User:redemption --operation Read --group offers.redemption.redemption.requests",
        "User:redemption --operation Read --group offers.redemption.offers.changed",
        "User:redemption --operation IdempotentWrite --cluster",
    ]


def test_the_list_is_printed_as_json_with_a_prefix_and_another_name() -> None:
    name = "marketing=User:CN=mails,O=Shop"
    found = json.loads(printed("--print", "json", "--prefix", "live.", "--principal", name))
    common = {"principal": "User:CN=mails,O=Shop", "permission": "Allow", "host": "*", "operation": "Read"}
    assert [entry for entry in found if "mails" in entry["principal"]] == [
        common | {"resource_type": "topic", "resource_name": "live.segments.changed", "pattern_type": "literal"},
        common | {"resource_type": "group", "resource_name": "live.marketing.", "pattern_type": "prefixed"},
    ]


@pytest.mark.parametrize("name", ["nobody=User:x", "audit", "audit=x"])
def test_a_principal_that_names_no_login_is_refused(name: str) -> None:
    result = CliRunner().invoke(app, ["acls", "--print", "json", "--principal", name])
    assert result.exit_code == 2
    assert LOGINS[0].name in result.output
