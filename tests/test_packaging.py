"""What gets built is what the repository holds: nothing lost, nothing at the top level."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.project import LINKED, ROOT, product_modules

BUILD_TIMEOUT_S = 100
SETUPTOOLS_MIN = 77  # the first that knows a license expression
LEFT_OUT = ("__pycache__", "*.pyc")

# Imports every module of a package below the folder given, and only from there.
IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import streamsql
found = (m.name for m in pkgutil.walk_packages(streamsql.__path__, "streamsql."))
names = [name for name in found if name != "streamsql.__main__"]
for name in names:
    assert importlib.import_module(name).__file__.startswith(sys.argv[1]), name
print(*sorted(names))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution of a copy of the project, and the wheel built from that."""
    source, out = tmp_path_factory.mktemp("source") / "project", tmp_path_factory.mktemp("dist")
    source.mkdir()
    for name in ("streamsql", *LINKED):
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    offline = ["--no-isolation"] if int(version("setuptools").split(".")[0]) >= SETUPTOOLS_MIN else []
    command = [sys.executable, "-m", "build", *offline, "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def installed_files() -> set[str]:
    """Paths that an installation must have: every file of the packages, whatever its suffix."""
    files: set[str] = set()
    for name in ("streamsql", *LINKED):
        for path in (ROOT / name).rglob("*"):
            inner = path.relative_to(ROOT).as_posix()
            linked = name == "streamsql" and inner.split("/")[1] in LINKED
            if path.is_file() and not linked and "__pycache__" not in path.parts:
                files.add(inner if name == "streamsql" else f"streamsql/{inner}")
    return files


def test_the_wheel_holds_every_file_of_the_packages(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {n for n in names if ".dist-info/" not in n} == installed_files()
    assert any(n.endswith(".dist-info/licenses/LICENSE") for n in names)


def test_the_source_distribution_holds_every_file_once(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {"/".join(m.name.split("/")[1:]) for m in archive.getmembers() if m.isfile()}
    sources = {p.removeprefix("streamsql/") if p.split("/")[1] in LINKED else p for p in installed_files()}
    assert sources <= names
    assert not [n for n in names if n.startswith(tuple(f"streamsql/{f}/" for f in LINKED))]


def test_every_module_of_the_wheel_imports(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path)
    command = [sys.executable, "-W", "error", "-I", "-c", IMPORT_ALL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    expected = {m.name for m in product_modules()} - {"streamsql.__init__", "streamsql.__main__"}
    assert set(done.stdout.split()) == expected
