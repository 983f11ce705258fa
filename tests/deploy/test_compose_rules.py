"""What docker-compose.yml promises, held without Docker: hardened services, own logins, no ports that clash."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cli.operations import ServiceName
from deploy.embedded.kafka_jars import kafka_version
from shared.http.server import DRAIN_S_MAX
from shared.subscriptions import LEAVE_S_MAX

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES = [service.value for service in ServiceName]
TASKS = ["migrate", "logins", "topics", "sample", "offers"]
SERVERS = ["postgres", "redis", "kafka", "prometheus", "grafana"]
MONITORING = ROOT / "deploy" / "monitoring"


def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(TEXT)
    return parsed


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def conditions(name: str) -> dict[str, str]:
    return {other: wait["condition"] for other, wait in service(name).get("depends_on", {}).items()}


def test_everything_is_there() -> None:
    assert sorted(compose()["services"]) == sorted([*SERVICES, *TASKS, *SERVERS])
    assert "version" not in compose(), "newer releases warn of it, and none needs it"


@pytest.mark.parametrize("name", [*SERVICES, *TASKS])
def test_our_containers_may_do_nothing_but_their_work(name: str) -> None:
    ours = service(name)
    assert ours["read_only"] is True
    assert ours["tmpfs"] == ["/tmp"]
    assert ours["user"] == "10001:10001"
    assert ours["cap_drop"] == ["ALL"]
    assert ours["security_opt"] == ["no-new-privileges:true"]
    assert ours["mem_limit"] == "512m"
    assert ours["build"] == {"context": ".", "dockerfile": "deploy/docker/Dockerfile"}
    assert not {"privileged", "cap_add", "network_mode", "pid", "container_name"} & ours.keys()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_probed_restarted_and_given_the_time_it_takes_to_stop(name: str) -> None:
    ours = service(name)
    assert ours["command"] == ["run", name]
    assert ours["healthcheck"]["test"] == ["CMD", "python", "-m", "deploy.docker.probe", "/readyz"]
    assert ours["restart"] == "unless-stopped"
    assert int(ours["stop_grace_period"].removesuffix("s")) >= 10 + LEAVE_S_MAX + DRAIN_S_MAX
    assert conditions(name) == {
        "logins": "service_completed_successfully",
        "topics": "service_completed_successfully",
        "redis": "service_healthy",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_its_own_database_login_and_no_other(name: str) -> None:
    ours = service(name)
    assert ours["environment"]["OFFERS_SECRETS_DIR"] == "/run/offers"
    assert "OFFERS_DATABASE_URL" not in ours["environment"]
    assert ours["volumes"] == [f"{name}-login:/run/offers:ro"]
    assert f"{name}-login:/logins/{name}" in service("logins")["volumes"]
    assert f"/logins/{name}" in (ROOT / "deploy/docker/Dockerfile").read_text()


def test_what_is_done_once_is_done_in_order_and_not_again() -> None:
    assert conditions("migrate") == {"postgres": "service_healthy"}
    assert conditions("logins") == {"migrate": "service_completed_successfully"}
    assert conditions("topics") == {"kafka": "service_healthy"}
    assert conditions("sample") == dict.fromkeys(SERVICES, "service_healthy")
    for name in TASKS:
        assert "restart" not in service(name)
        assert service(name)["healthcheck"] == {"disable": True}
    assert {name for name in TASKS if "profiles" in service(name)} == {"sample", "offers"}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_is_official_pinned_probed_and_bounded(name: str) -> None:
    server = service(name)
    image, _, tag = server["image"].partition(":")
    assert image in {"postgres", "redis", "apache/kafka", "prom/prometheus", "grafana/grafana"}
    assert re.fullmatch(r"v?\d+(\.\d+)*", tag)
    assert {"healthcheck", "mem_limit", "restart", "stop_grace_period"} <= server.keys()
    assert server.get("profiles") == (["monitoring"] if name in ("prometheus", "grafana") else None)


def test_it_is_the_kafka_that_is_tested_on() -> None:
    assert service("kafka")["image"] == f"apache/kafka:{kafka_version()}"


def test_ports_are_this_machines_alone_and_what_is_scaled_has_none() -> None:
    ports = {name: service(name).get("ports", []) for name in compose()["services"]}
    published = [port for each in ports.values() for port in each]
    assert all(re.fullmatch(r"127\.0\.0\.1:\$\{OFFERS_[A-Z]+_PORT:-\d+\}:\d+", port) for port in published)
    assert len(set(re.findall(r":-(\d+)\}", " ".join(published)))) == len(published)
    assert sorted(name for name, each in ports.items() if each) == ["admin", "audit", "grafana", "kafka", "prometheus"]


def test_a_password_comes_from_the_environment() -> None:
    secrets = [line.strip() for line in TEXT.splitlines() if re.search(r"PASSWORD|://[^@\s]+@", line)]
    assert secrets
    assert all("${OFFERS_POSTGRES_PASSWORD:-offers}" in line for line in secrets)


def test_every_file_that_is_mounted_exists_and_is_mounted_read_only() -> None:
    mounts = [mount for name in compose()["services"] for mount in service(name).get("volumes", [])]
    files = [mount.split(":") for mount in mounts if mount.startswith(".")]
    assert len(files) == 4
    for source, _, mode in files:
        assert (ROOT / source).exists(), source
        assert mode == "ro"
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith(".")}
    assert named == set(compose()["volumes"])


def test_prometheus_finds_every_container_of_every_service_with_the_labels_the_alerts_go_by() -> None:
    configuration = yaml.safe_load((MONITORING / "containers.yml").read_text())
    (job,) = configuration["scrape_configs"]
    (names,) = job["dns_sd_configs"]
    assert (job["job_name"], names["type"], names["port"]) == ("offers", "A", 8080)
    assert sorted(names["names"]) == sorted(SERVICES)
    assert job["relabel_configs"] == [{"source_labels": ["__meta_dns_name"], "target_label": "service"}]
    assert configuration["rule_files"] == ["alerts.yml"]


def test_grafana_shows_the_dashboard_from_prometheus_and_nobody_signs_in() -> None:
    grafana = service("grafana")
    assert "./deploy/monitoring/grafana:/etc/grafana/provisioning:ro" in grafana["volumes"]
    (source,) = yaml.safe_load((MONITORING / "grafana/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = yaml.safe_load((MONITORING / "grafana/dashboards/offers.yml").read_text())["providers"]
    folder = provider["options"]["path"]
    assert f"./deploy/monitoring/dashboard.json:{folder}/dashboard.json:ro" in grafana["volumes"]
    (variable,) = json.loads((MONITORING / "dashboard.json").read_text())["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    assert grafana["environment"]["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert grafana["environment"]["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
