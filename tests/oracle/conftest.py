"""Jobs of these tests begin quickly."""

from collections.abc import Iterator

import duckdb
import pytest

from .databases import Databases


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    made = Databases()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def databases_used_again(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand queries, each run in several ways by several jobs: the databases they begin with are the same few."""
    monkeypatch.setattr(duckdb, "connect", databases.connect)
