"""The Helm chart's objects are what Kubernetes takes, and every pod keeps the rules of this house."""

import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deploy.cli.app import app
from shared.http.server import DRAIN_S_MAX
from tests.support.chart import (
    CHART,
    SERVICES,
    Document,
    containers,
    needs_helm,
    of_kind,
    pods,
    problems,
    render,
    run_helm,
)
from tests.support.chart_values import ALL, EVERYTHING, EXTERNAL, PLAIN
from tests.support.kubernetes_tools import ROOT, VERSIONS

pytestmark = needs_helm
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}
KAFKA_S = 20
"""To deliver the messages under way and to leave the groups, ten seconds each."""
BATCH_S = 15
"""Room for a batch's transaction before that."""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[Document]]:
    folder = tmp_path_factory.mktemp("chart")
    return {name: render(values, folder) for name, values in ALL.items()}


@pytest.fixture(params=list(ALL))
def documents(rendered: Mapping[str, list[Document]], request: pytest.FixtureRequest) -> list[Document]:
    return rendered[request.param]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_matches_the_schema_of_its_kind(documents: list[Document], version: str) -> None:
    assert {document["kind"] for document in documents if problems(document, version) is None} <= CUSTOM
    found = {
        f"{document['kind']} {document['metadata']['name']}": problems(document, version) for document in documents
    }
    assert {name: what for name, what in found.items() if what} == {}


def test_the_schemas_refuse_a_misspelt_field(rendered: Mapping[str, list[Document]]) -> None:
    deployment = of_kind(rendered["plain"], "Deployment")["admin"]
    container = {**deployment["spec"]["template"]["spec"]["containers"][0], "readynessProbe": {}}
    wrong = {"containers": [container]}
    document = {**deployment, "spec": {**deployment["spec"], "template": {"spec": wrong}}}
    for version in VERSIONS:
        (problem,) = problems(document, version) or [""]
        assert "readynessProbe" in problem


def test_nothing_runs_as_root_or_writes_to_its_image(documents: list[Document]) -> None:
    for pod in pods(documents):
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert pod["automountServiceAccountToken"] is False
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_the_account_has_no_token_and_no_rights(rendered: Mapping[str, list[Document]]) -> None:
    account = of_kind(rendered["plain"], "ServiceAccount")["account"]
    assert account["automountServiceAccountToken"] is False
    assert not any("Role" in document["kind"] for document in rendered["everything"])


def test_every_service_is_probed_on_the_port_it_listens_on(documents: list[Document]) -> None:
    for deployment in of_kind(documents, "Deployment").values():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert container["ports"] == [{"name": "http", "containerPort": 8080}]
        paths = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert paths == {
            "startup": {"path": "/healthz", "port": "http"},
            "liveness": {"path": "/healthz", "port": "http"},
            "readiness": {"path": "/readyz", "port": "http"},
        }


def test_pods_get_longer_to_end_than_a_service_takes(documents: list[Document]) -> None:
    for deployment in of_kind(documents, "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        before = pod["containers"][0].get("lifecycle", {"preStop": {"exec": {"command": ["sleep", "0"]}}})
        waits_s = int(before["preStop"]["exec"]["command"][1])
        assert pod["terminationGracePeriodSeconds"] > waits_s + DRAIN_S_MAX + KAFKA_S + BATCH_S


def test_containers_run_commands_that_exist(documents: list[Document]) -> None:
    run = {tuple(container["args"]) for pod in pods(documents) for container in containers(pod)}
    assert run == {("migrate",), ("topics",), *(("run", service) for service in SERVICES)}
    for command in run:
        assert CliRunner().invoke(app, [command[0], "--help"]).exit_code == 0, command


def test_the_schema_and_the_topics_are_there_before_anything_else(documents: list[Document]) -> None:
    hooks = [document for document in documents if "helm.sh/hook" in document["metadata"].get("annotations", {})]
    weights = {hook["kind"]: int(hook["metadata"]["annotations"]["helm.sh/hook-weight"]) for hook in hooks}
    assert weights.pop("Job") > max(weights.values(), default=-1)
    assert all(hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade" for hook in hooks)
    job = of_kind(documents, "Job")["migrations"]["spec"]["template"]["spec"]
    assert [container["args"] for container in containers(job)] == [["migrate"], ["topics"]]
    assert "serviceAccountName" not in job  # Ours is not there before the first install.


def test_what_selects_pods_finds_those_of_its_service(documents: list[Document]) -> None:
    labels = {
        name: item["spec"]["template"]["metadata"]["labels"]
        for kind in ("Deployment", "Job")
        for name, item in of_kind(documents, kind).items()
    }
    places = {
        "Deployment": ["selector", "matchLabels"],
        "Service": ["selector"],
        "PodDisruptionBudget": ["selector", "matchLabels"],
        "NetworkPolicy": ["podSelector", "matchLabels"],
    }
    for kind, place in places.items():
        for name, document in of_kind(documents, kind).items():
            chosen = functools.reduce(dict.__getitem__, place, document["spec"]).items()
            assert [pod for pod, own in labels.items() if chosen <= own.items()] == [name], (kind, name)


def test_one_of_a_service_may_be_taken_away_at_a_time(rendered: Mapping[str, list[Document]]) -> None:
    budgets = of_kind(rendered["plain"], "PodDisruptionBudget")
    assert {name: budget["spec"]["maxUnavailable"] for name, budget in budgets.items()} == dict.fromkeys(SERVICES, 1)
    assert of_kind(rendered["external"], "PodDisruptionBudget") == {}


def test_admin_and_audit_have_an_address_and_the_others_only_metrics(documents: list[Document]) -> None:
    services = of_kind(documents, "Service")
    assert {name for name, service in services.items() if service["spec"].get("clusterIP") == "None"} == {
        "redemption",
        "segmenter",
    }
    port = [{"name": "http", "port": 8080, "targetPort": "http"}]
    assert {name: service["spec"]["ports"] for name, service in services.items()} == dict.fromkeys(SERVICES, port)


def test_people_reach_the_admin_page_by_https(rendered: Mapping[str, list[Document]]) -> None:
    spec = of_kind(rendered["everything"], "Ingress")["admin"]["spec"]
    assert spec["tls"] == [{"hosts": ["offers.example.com"], "secretName": "shop-offers-admin-tls"}]
    (rule,) = spec["rules"]
    assert rule["host"] == "offers.example.com"
    assert rule["http"]["paths"][0]["backend"] == {"service": {"name": "shop-offers-admin", "port": {"name": "http"}}}
    settings = of_kind(rendered["everything"], "ConfigMap")["admin"]["data"]
    assert settings["OFFERS_ADMIN_PUBLIC_URL"] == "https://offers.example.com"
    assert "OFFERS_ADMIN_PUBLIC_URL" not in of_kind(rendered["plain"], "ConfigMap")["admin"]["data"]


def test_the_chart_is_of_the_version_it_installs() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]


@pytest.mark.parametrize("values", ALL.values(), ids=ALL)
def test_helm_finds_nothing_to_complain_of(values: dict[str, Any], tmp_path: Path) -> None:
    result = run_helm("lint", values, tmp_path, "--strict", "--quiet")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (PLAIN | {"image": {}}, "image.repository is not set"),
        (PLAIN | {"kafka": {}}, "kafka.bootstrapServers is not set"),
        (PLAIN | {"database": {}}, "database.url is not set, nor an existingSecret"),
        (PLAIN | {"redis": {}}, "redis.url is not set, nor an existingSecret"),
        (EXTERNAL | {"existingSecret": ""}, "database.url is not set, nor an existingSecret"),
        (PLAIN | {"ingress": {"enabled": True}}, "ingress.host is not set"),
        (PLAIN | {"replicas": 3}, "'replicas' not allowed"),
        (PLAIN | {"settings": {"OFFERS_DATABASE_URL": "postgresql://x"}}, "OFFERS_DATABASE_URL"),
        (PLAIN | {"kafka": {"bootstrapServers": "kafka"}}, "bootstrapServers"),
    ],
)
def test_what_is_missing_or_wrong_is_named(values: dict[str, Any], named: str, tmp_path: Path) -> None:
    result = run_helm("template", values, tmp_path)
    assert result.returncode != 0
    assert named in result.stderr


def test_the_first_thing_that_is_told_is_how_to_sign_in(tmp_path: Path) -> None:
    result = run_helm("install", EVERYTHING, tmp_path, "--dry-run=client")
    assert result.returncode == 0, result.stderr
    assert "exec deploy/shop-offers-admin -- offers admin create NAME" in result.stdout
