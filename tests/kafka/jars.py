"""The jars of Apache Kafka, fetched once by Maven into a cache outside the tree."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
JAVA_VERSION_MIN = 17  # brokers of Kafka 4 need it
FETCH_TIMEOUT_S = 600  # 44 MB; generous, because a first fetch on a slow line is not a failure


class KafkaUnavailableError(Exception):
    """No real broker can run here; the text is the whole reason, fit for a skip message."""


def kafka_version() -> str:
    """The version named in the pom, the only place that names it."""
    found = ElementTree.parse(POM).find(".//{*}kafka.version")
    assert found is not None and found.text, f"{POM} has no property kafka.version"
    return found.text


def cache_folder() -> Path:
    """$STREAMSQL_CACHE or ~/.cache/streamsql."""
    configured = os.environ.get("STREAMSQL_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "streamsql"


def java() -> str:
    """Path of a java of at least JAVA_VERSION_MIN: $JAVA_HOME first, then PATH.

    Raises KafkaUnavailableError when there is none or it is too old.
    """
    home = os.environ.get("JAVA_HOME")
    path = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if path is None:
        where = f"JAVA_HOME={home}" if home else "PATH"
        raise KafkaUnavailableError(f"a Kafka broker needs Java {JAVA_VERSION_MIN}, and {where} has no java")
    text = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', text)
    if version is None or int(version[1]) < JAVA_VERSION_MIN:
        raise KafkaUnavailableError(
            f"a Kafka broker needs Java {JAVA_VERSION_MIN}; {path} -version says: {text.strip()}"
        )
    return path


def kafka_jars() -> Path:
    """The folder of jars; fetched when the cache lacks them or was filled from another pom.

    Raises KafkaUnavailableError when Maven is missing or fails.
    """
    folder = cache_folder() / f"kafka-{kafka_version()}"
    if not _is_current(folder):
        with _alone(folder.parent):
            if not _is_current(folder):
                _fetch(folder)
    return folder / "lib"


@contextmanager
def _alone(cache: Path) -> Generator[None, None, None]:
    """One process at a time: Maven's own cache does not take two at once."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_current(folder: Path) -> bool:
    copy = folder / "pom.xml"
    return copy.is_file() and copy.read_bytes() == POM.read_bytes()


def _fetch(folder: Path) -> None:
    """Fills a fresh folder beside the target and renames it: a half-fetched cache is never seen."""
    mvn = shutil.which("mvn")
    if mvn is None:
        raise KafkaUnavailableError(
            f"no Kafka jars in {folder}, and no mvn on PATH to fetch them (install maven)"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as name:
        fresh = Path(name) / "kafka"
        goal = [
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={fresh / 'lib'}",
        ]
        command = [mvn, "--batch-mode", "--quiet", "--file", str(POM), *goal]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=FETCH_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise KafkaUnavailableError(f"Maven did not fetch Kafka within {FETCH_TIMEOUT_S} s") from error
        if done.returncode != 0:
            raise KafkaUnavailableError(f"Maven could not fetch Kafka: {(done.stdout + done.stderr)[-1000:]}")
        shutil.copy(POM, fresh / "pom.xml")
        _swap(fresh, folder)


def _swap(fresh: Path, folder: Path) -> None:
    try:
        fresh.rename(folder)
    except OSError:  # it exists: another test run was faster, or it came from an older pom
        if _is_current(folder):
            return
        shutil.rmtree(folder)
        fresh.rename(folder)
