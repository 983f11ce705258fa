"""The jars of Apache Kafka: fetched once by Maven from deploy/kafka/pom.xml, kept in the user's cache folder."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import platformdirs

from deploy.embedded.child import Child
from deploy.embedded.errors import MissingRequirement, ServerError

KAFKA_FILES = Path(__file__).parent.parent / "kafka"

_POM = KAFKA_FILES / "pom.xml"
_JAVA_MIN = 17
_PROGRESS_EVERY_S = 0.5
_MAVEN_TIMEOUT_S = 900.0


def kafka_version() -> str:
    """The version named in the pom."""
    version = ElementTree.parse(_POM).findtext(".//{*}properties/{*}kafka.version")
    assert version is not None, "deploy/kafka/pom.xml names kafka.version"
    return version


async def java_program() -> str:
    """The Java to run Kafka with: of JAVA_HOME if set, else the one on the path.

    Raises:
        MissingRequirement: if there is none, or it is older than Kafka needs.
    """
    needs = f"Apache Kafka needs Java {_JAVA_MIN} or newer"
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        raise MissingRequirement(f"{needs}: no java in {'JAVA_HOME' if home else 'PATH'}")
    process = await asyncio.create_subprocess_exec(
        java, "-version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    version = re.search(rb'version "(\d+)', said)
    if version is None or int(version[1]) < _JAVA_MIN:
        found = version[1].decode() if version else "of unknown version"
        raise MissingRequirement(f"{needs}: {java} is {found}")
    return java


async def kafka_jars() -> Path:
    """The folder with Kafka's jars, fetched first if it is missing.

    Raises:
        MissingRequirement: if they must be fetched and Maven is missing.
        ServerError: if Maven fails.
    """
    cache = platformdirs.user_cache_path("offers")
    jars = cache / f"kafka-{kafka_version()}"
    if not jars.is_dir():
        await _fetch(cache, jars)
    return jars


async def _fetch(cache: Path, jars: Path) -> None:
    """Let Maven copy into a temporary folder beside, then rename: a folder of the final name is complete."""
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingRequirement(f"Apache Kafka {kafka_version()} is fetched by Maven: no mvn in PATH")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{jars.name}.", dir=cache, ignore_cleanup_errors=True) as temporary:
        copied = Path(temporary, "jars")
        await _run_maven(maven, copied, cache / "maven.log")
        # Another process may have been first: its folder is as good.
        with contextlib.suppress(OSError):
            copied.rename(jars)
    if not jars.is_dir():
        raise ServerError(f"cannot keep Kafka's jars in {jars}")


async def _run_maven(maven: str, target: Path, log_path: Path) -> None:
    log_path.unlink(missing_ok=True)
    argv = [maven, "--batch-mode", "--file", str(_POM), "dependency:copy-dependencies"]
    child = await Child.spawn("mvn", [*argv, f"-DoutputDirectory={target}"], log_path=log_path)
    try:
        async with asyncio.timeout(_MAVEN_TIMEOUT_S):
            exit_code = await _with_progress(child)
    except TimeoutError as error:
        raise ServerError(f"Maven took longer than {_MAVEN_TIMEOUT_S:g} s: see {log_path}") from error
    finally:
        await child.stop(signal.SIGTERM, 2.0)
    if exit_code != 0 or not any(target.glob("kafka_2.13-*.jar")):
        raise ServerError(f"Maven could not fetch Apache Kafka: {_first_error(log_path)} (see {log_path})")


async def _with_progress(child: Child) -> int:
    """Wait for Maven; a line on standard error says so, and on a terminal counts the files it has downloaded."""
    what = f"fetching Apache Kafka {kafka_version()} with Maven, once"
    sys.stderr.write(what)
    exited = asyncio.ensure_future(child.wait())
    while not exited.done():
        await asyncio.wait({exited}, timeout=_PROGRESS_EVERY_S)
        if sys.stderr.isatty():
            files = child.log_path.read_text(errors="replace").count("Downloaded from")
            sys.stderr.write(f"\r{what}: {files} files")
        sys.stderr.flush()
    sys.stderr.write("\n")
    return exited.result()


def _first_error(log_path: Path) -> str:
    lines = log_path.read_text(errors="replace").splitlines()
    errors = [line.removeprefix("[ERROR]").strip() for line in lines if line.startswith("[ERROR]")]
    return errors[0] if errors else "no error in its log"
