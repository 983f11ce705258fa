"""What the chart tells the services is what they read, and what it tells others about them is what they are."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
import yaml
from pydantic import AliasChoices
from pydantic_settings import BaseSettings

from deploy.documents import BROKERS
from services.admin.app import AdminSettings
from services.audit.app import AuditSettings
from services.redemption.app import RedemptionSettings
from services.segmenter.app import SegmenterSettings
from shared.settings import DatabaseSettings, KafkaSettings, RedisSettings, TelemetrySettings, load_settings
from tests.support.chart import SERVICES, Document, containers, environment, needs_helm, of_kind, pods, render
from tests.support.chart_values import ALL, SECRETS
from tests.support.kubernetes_tools import ROOT

pytestmark = needs_helm
READ: Final[dict[str, tuple[type[BaseSettings], ...]]] = {
    "redemption": (RedemptionSettings, TelemetrySettings),
    "segmenter": (SegmenterSettings, TelemetrySettings),
    "audit": (AuditSettings, RedisSettings, TelemetrySettings),
    "admin": (AdminSettings, TelemetrySettings),
    "migrate": (DatabaseSettings,),
    "topics": (KafkaSettings,),
}
"""What each container reads, by its name."""

LIBPQ: Final = {"PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"}
"""What drivers of PostgreSQL read by themselves."""

CONTAINERS: Final = [(values, container) for values in ALL for container in READ]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Document]]:
    folder = tmp_path_factory.mktemp("chart")
    return {name: render(values, folder) for name, values in ALL.items()}


def variables(kind: type[BaseSettings]) -> set[str]:
    """The names by which a settings class is told what it reads."""
    found: set[str] = set()
    for name, field in kind.model_fields.items():
        if isinstance(field.validation_alias, AliasChoices):
            found |= {str(choice) for choice in field.validation_alias.choices}
        else:
            found.add(f"OFFERS_{name.upper()}")
    return found


def told(documents: list[Document], name: str) -> Mapping[str, Any]:
    (container,) = (item for pod in pods(documents) for item in containers(pod) if item["name"] == name)
    return environment(documents, container, SECRETS)


@pytest.mark.parametrize(("values", "container"), CONTAINERS)
def test_a_container_starts_with_what_it_reads_and_nothing_else(
    rendered: Mapping[str, list[Document]], values: str, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = told(rendered[values], container)
    assert given.keys() <= LIBPQ.union(*(variables(kind) for kind in READ[container]))
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for kind in READ[container]:
        load_settings(kind)


def test_each_is_told_of_its_own_servers_logins_and_files(rendered: Mapping[str, list[Document]]) -> None:
    assert told(rendered["everything"], "redemption") == {
        "OFFERS_DATABASE_URL": "postgresql://decider:secret@a.example.com:5433/offers",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "/etc/offers/database/ca.crt",
        "PGSSLCERT": "/etc/offers/database/tls.crt",
        "PGSSLKEY": "/etc/offers/database/tls.key",
        "OFFERS_REDIS_URL": "rediss://:secret@redis.example.com:6380/0",
        "OFFERS_REDIS_SSL_CAFILE": "/etc/offers/redis/ca.crt",
        "OFFERS_KAFKA_BOOTSTRAP_SERVERS": "k1.example.com:9093,k2.example.com:9094",
        "OFFERS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "OFFERS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
        "OFFERS_KAFKA_SASL_USERNAME": "redemption",
        "OFFERS_KAFKA_SASL_PASSWORD": "its own",
        "OFFERS_KAFKA_SSL_CAFILE": "/etc/offers/kafka/ca.crt",
        "OFFERS_KAFKA_SSL_CERTFILE": "/etc/offers/kafka/tls.crt",
        "OFFERS_KAFKA_SSL_KEYFILE": "/etc/offers/kafka/tls.key",
        "OFFERS_KAFKA_TOPIC_PREFIX": "eu.",
        "OFFERS_HTTP_HOST": "0.0.0.0",
        "OFFERS_HTTP_PORT": "8080",
        "OFFERS_OTLP_ENDPOINT": "http://collector.example.com:4318",
        "OFFERS_DECISION_RETENTION_DAYS": "30",
        "OFFERS_LOG_LEVEL": "DEBUG",
    }
    assert told(rendered["plain"], "segmenter") == {
        "OFFERS_DATABASE_URL": "postgresql://offers:secret@postgres/offers",
        "OFFERS_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "OFFERS_KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "OFFERS_KAFKA_TOPIC_PREFIX": "",
        "OFFERS_HTTP_HOST": "0.0.0.0",
        "OFFERS_HTTP_PORT": "8080",
    }
    assert told(rendered["everything"], "topics")["OFFERS_KAFKA_PARTITIONS"] == "12"
    assert told(rendered["everything"], "admin")["OFFERS_LOG_LEVEL"] == "WARNING"


def test_the_files_it_is_told_of_are_mounted(rendered: Mapping[str, list[Document]]) -> None:
    for documents in rendered.values():
        for pod in pods(documents):
            sources = {volume["name"]: volume.get("projected", {}).get("sources", []) for volume in pod["volumes"]}
            for container in containers(pod):
                files = {
                    f"{mount['mountPath']}/{item['path']}"
                    for mount in container["volumeMounts"]
                    for source in sources[mount["name"]]
                    for item in source["secret"]["items"]
                }
                named = environment(documents, container, SECRETS)
                assert {value for value in named.values() if value.startswith("/etc/")} <= files


def test_secrets_of_the_operators_are_used_and_none_is_made_beside_them(
    rendered: Mapping[str, list[Document]],
) -> None:
    documents = rendered["external"]
    assert of_kind(documents, "Secret") == {}
    named = {
        container["name"]: {
            item["valueFrom"]["secretKeyRef"]["name"] for item in container["env"] if "valueFrom" in item
        }
        for pod in pods(documents)
        for container in containers(pod)
    }
    assert named == {
        "redemption": {"logins"},
        "segmenter": {"segmenter-login"},
        "audit": {"logins"},
        "admin": {"logins"},
        "migrate": {"owner-login"},
        "topics": {"owner-login"},
    }


def reached(policy: Document) -> list[int]:
    """The ports other than the name server's."""
    return [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"] if port["port"] != 53]


def test_each_reaches_its_own_servers_alone(rendered: Mapping[str, list[Document]]) -> None:
    plain = of_kind(rendered["plain"], "NetworkPolicy")
    assert {name: reached(policy) for name, policy in plain.items()} == {
        "redemption": [5432, 9092, 6379],
        "segmenter": [5432, 9092],
        "audit": [5432, 9092, 6379],
        "admin": [5432, 9092, 6379],
        "migrations": [5432, 9092],
    }
    everything = of_kind(rendered["everything"], "NetworkPolicy")
    assert {name: reached(policy) for name, policy in everything.items()} == {
        "redemption": [5433, 9193, 6380, 4318],
        "segmenter": [5433, 5434, 9193, 4318],
        "audit": [5433, 5434, 9193, 6380, 4318],
        "admin": [5433, 5434, 9193, 6380, 4318],
        "migrations": [5433, 5434, 9193],
    }
    assert everything["segmenter"]["spec"]["egress"][1]["to"] == [{"ipBlock": {"cidr": "10.0.0.0/16"}}]
    assert of_kind(rendered["external"], "NetworkPolicy") == {}


def test_only_the_http_port_is_reached(rendered: Mapping[str, list[Document]]) -> None:
    policies = of_kind(rendered["everything"], "NetworkPolicy")
    assert "ingress" not in policies.pop("migrations")["spec"]
    for name, policy in policies.items():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        (rule,) = policy["spec"]["ingress"]
        assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]
        assert ("from" in rule) == (name == "admin")


def triggers(documents: list[Document]) -> dict[str, set[tuple[str, str]]]:
    return {
        name: {(item["metadata"]["consumerGroup"], item["metadata"]["topic"]) for item in scaled["spec"]["triggers"]}
        for name, scaled in of_kind(documents, "ScaledObject").items()
    }


async def test_workers_are_scaled_by_the_lag_of_groups_that_there_are(rendered: Mapping[str, list[Document]]) -> None:
    assert triggers(rendered["everything"]) == {
        "redemption": {("eu.offers.redemption.redemption.requests", "eu.redemption.requests")},
        "segmenter": {("eu.offers.segmenter.topups", "eu.topups"), ("eu.offers.segmenter.users", "eu.users")},
        "audit": {("eu.offers.audit.audit.events", "eu.audit.events")},
    }
    for name, watched in triggers(rendered["external"]).items():
        subscribers: list[Any] = BROKERS[name]().subscribers
        assert watched <= {(item.group_id, topic) for item in subscribers for topic in item.topic_names}


def test_the_scaler_logs_in_by_itself_or_as_the_service(rendered: Mapping[str, list[Document]]) -> None:
    scaled = of_kind(rendered["everything"], "ScaledObject")["redemption"]["spec"]
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (3, 12)
    (trigger,) = scaled["triggers"]
    expected = {"sasl": "scram_sha256", "tls": "enable", "lagThreshold": "2000", "offsetResetPolicy": "earliest"}
    assert expected.items() <= trigger["metadata"].items()
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    login = of_kind(rendered["everything"], "TriggerAuthentication")["redemption"]
    assert trigger["authenticationRef"] == {"name": login["metadata"]["name"]}
    assert {item["parameter"]: (item["name"], item["key"]) for item in login["spec"]["secretTargetRef"]} == {
        "username": ("shop-offers-autoscaler", "OFFERS_KAFKA_SASL_USERNAME"),
        "password": ("shop-offers-autoscaler", "OFFERS_KAFKA_SASL_PASSWORD"),
        "ca": ("kafka-ca", "ca.crt"),
        "cert": ("kafka-client", "tls.crt"),
        "key": ("kafka-client", "tls.key"),
    }
    assert of_kind(rendered["everything"], "Secret")["autoscaler"]["stringData"] == {
        "OFFERS_KAFKA_SASL_USERNAME": "autoscaler",
        "OFFERS_KAFKA_SASL_PASSWORD": "may look",
    }
    external = of_kind(rendered["external"], "TriggerAuthentication")
    assert {name: item["spec"]["secretTargetRef"][0]["name"] for name, item in external.items()} == {
        "redemption": "logins",
        "segmenter": "segmenter-login",
        "audit": "logins",
    }


def test_who_is_scaled_by_lag_has_no_number_of_its_own(rendered: Mapping[str, list[Document]]) -> None:
    scaled = of_kind(rendered["everything"], "ScaledObject")
    deployments = of_kind(rendered["everything"], "Deployment")
    for name, item in scaled.items():
        assert item["spec"]["scaleTargetRef"] == {"name": deployments[name]["metadata"]["name"]}
    assert {name for name, item in deployments.items() if "replicas" in item["spec"]} == {"admin"}
    plain = of_kind(rendered["plain"], "Deployment")
    assert {name: item["spec"]["replicas"] for name, item in plain.items()} == dict.fromkeys(SERVICES, 2)


def test_prometheus_is_given_the_rules_and_the_labels_they_go_by(rendered: Mapping[str, list[Document]]) -> None:
    rule = of_kind(rendered["everything"], "PrometheusRule")["monitoring"]
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy" / "monitoring" / "alerts.yml").read_text())
    monitor = of_kind(rendered["everything"], "ServiceMonitor")["monitoring"]
    assert rule["metadata"]["labels"]["release"] == monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
    assert endpoint["relabelings"] == [
        {"targetLabel": "job", "replacement": "offers"},
        {"sourceLabels": ["__meta_kubernetes_service_label_app_kubernetes_io_component"], "targetLabel": "service"},
    ]
    chosen = monitor["spec"]["selector"]["matchLabels"].items()
    services = of_kind(rendered["everything"], "Service").values()
    assert all(chosen <= service["metadata"]["labels"].items() for service in services)
    assert not {"ServiceMonitor", "PrometheusRule", "ScaledObject"} & {item["kind"] for item in rendered["plain"]}
