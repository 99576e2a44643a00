"""The fixture itself: a server that answers, goes away and comes back with its data."""

from __future__ import annotations

from tests.conftest import ServerFactory

from .server import Server


def test_it_answers(postgres: Server) -> None:
    table = postgres.table("a int, b text", "(1, 'x')", "(2, NULL)")
    assert postgres.sql(f"SELECT * FROM {table} ORDER BY a") == ["1|x", "2|"]


def test_it_comes_back_with_its_data(postgres_factory: ServerFactory) -> None:
    server = postgres_factory()
    server.sql("CREATE TABLE kept (a int)", "INSERT INTO kept VALUES (1)")
    server.stop()
    server.start()
    assert server.sql("SELECT a FROM kept") == ["1"]
    server.kill()
    server.start()
    assert server.sql("SELECT a FROM kept") == ["1"]
