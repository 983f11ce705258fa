"""The Helm chart rendered by Helm, and its objects held against the schemas of Kubernetes."""

import functools
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
import yaml

from tests.support.kubernetes_tools import HELM, ROOT, SCHEMAS

CHART: Final = ROOT / "deploy" / "kubernetes"
RELEASE: Final = "shop"
DEFINITIONS: Final = "https://kubernetes.io/api/_definitions.json"
SERVICES: Final = ("redemption", "segmenter", "audit", "admin")

Values = Mapping[str, Any]
Document = dict[str, Any]

needs_helm = pytest.mark.skipif(not HELM.exists(), reason="Helm is missing: make helm")


def run_helm(command: str, values: Values, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`helm COMMAND` on the chart with these values."""
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(dict(values)))
    place = [str(CHART)] if command == "lint" else [RELEASE, str(CHART)]
    argv = [str(HELM), command, *place, "--values", str(file), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def render(values: Values, folder: Path) -> list[Document]:
    """Everything that would be put on a cluster."""
    result = run_helm("template", values, folder, "--namespace", "offers")
    assert result.returncode == 0, result.stderr
    return [document for document in yaml.safe_load_all(result.stdout) if document]


@functools.cache
def _definitions(version: str) -> jsonschema_rs.Registry:
    definitions = json.loads((SCHEMAS / version / "_definitions.json").read_text())
    return jsonschema_rs.Registry([(DEFINITIONS, definitions)])


@functools.cache
def _validator(version: str, name: str) -> jsonschema_rs.Draft202012Validator | None:
    path = SCHEMAS / version / name
    if not path.exists():
        return None
    return jsonschema_rs.Draft202012Validator(json.loads(path.read_text()), registry=_definitions(version))


def problems(document: Document, version: str) -> list[str] | None:
    """What the schema of its kind, which takes no unknown field, has against it; None if there is no such schema."""
    group, _, revision = document["apiVersion"].rpartition("/")
    parts = (document["kind"].lower(), group.split(".")[0], revision)
    validator = _validator(version, "-".join(part for part in parts if part) + ".json")
    if validator is None:
        return None
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(document)]


def of_kind(documents: list[Document], kind: str) -> dict[str, Document]:
    """Those of a kind, by their component: a service, or what else they are part of."""
    return {
        document["metadata"]["labels"]["app.kubernetes.io/component"]: document
        for document in documents
        if document["kind"] == kind
    }


def pods(documents: list[Document]) -> Iterator[Document]:
    """The specification of every kind of pod."""
    for document in documents:
        if document["kind"] in ("Deployment", "Job"):
            yield document["spec"]["template"]["spec"]


def containers(pod: Document) -> list[Document]:
    """Those of a pod, in the order in which they start."""
    return [*pod.get("initContainers", []), *pod["containers"]]


def environment(documents: list[Document], container: Document, secrets: Mapping[str, Mapping[str, str]]) -> Values:
    """The variables that a container starts with; `secrets` are those that the chart doesn't make."""
    kept = {item["metadata"]["name"]: item["data"] for item in documents if item["kind"] == "ConfigMap"}
    made = {item["metadata"]["name"]: item["stringData"] for item in documents if item["kind"] == "Secret"}
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        variables |= kept[source["configMapRef"]["name"]]
    for variable in container["env"]:
        if "value" in variable:
            variables[variable["name"]] = variable["value"]
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            variables[variable["name"]] = {**secrets, **made}[reference["name"]][reference["key"]]
    return variables
