"""The public face: what `from streamsql import ...` offers is listed, documented, and cheap to import."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import streamsql

# Names that users of PyFlink's Table API know, and that the documentation promises.
PROMISED = {
    "EnvironmentSettings",
    "Job",
    "Row",
    "RowKind",
    "StatementSet",
    "StreamSqlError",
    "TableEnvironment",
    "TableResult",
}
# What `import streamsql` must not load: the shell's libraries, and what only some connectors or results need.
HEAVY = {"confluent_kafka", "pandas", "prompt_toolkit"}


def test_all_is_sorted_and_complete() -> None:
    names = streamsql.__all__
    assert list(names) == sorted(names)
    assert len(set(names)) == len(names)
    assert set(names) >= PROMISED
    assert not [name for name in names if not hasattr(streamsql, name)]


def test_every_public_name_is_defined_in_the_project_and_documented() -> None:
    for name in streamsql.__all__:
        value = getattr(streamsql, name)
        if not inspect.ismodule(value) and (inspect.isclass(value) or callable(value)):
            assert value.__module__.startswith("streamsql."), name
            assert inspect.getdoc(value), f"{name} has no docstring"


def test_every_public_method_is_documented_and_annotated() -> None:
    mute, untyped = [], []
    for where, method in public_methods():
        mute += [] if inspect.getdoc(method) else [where]
        untyped += [] if "return" in inspect.get_annotations(method) else [where]
    assert not mute, "without a docstring"
    assert not untyped, "without a return annotation"


def public_methods() -> Iterator[tuple[str, Any]]:
    """The methods and properties that the public classes define themselves."""
    for name in streamsql.__all__:
        cls = getattr(streamsql, name)
        for attribute, member in vars(cls).items() if inspect.isclass(cls) else ():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            if not attribute.startswith("_") and inspect.isfunction(function):
                yield f"{name}.{attribute}", function


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, streamsql; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())
