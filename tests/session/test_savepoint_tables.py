"""Savepoints and checkpoints as tables."""

from __future__ import annotations

from typing import Any

import pytest

from streamsql import StreamSqlError, TableEnvironment
from streamsql.errors import StateError
from tests.session.market import SUMS, Market

VIEW = "CREATE VIEW sums AS SELECT fruit, SUM(kilos) AS kilos FROM orders WHERE kilos > 0 GROUP BY fruit"
TWO = (
    "EXECUTE STATEMENT SET BEGIN INSERT INTO totals SELECT fruit, kilos, '' FROM sums WHERE kilos > 2; "
    "INSERT INTO log SELECT a.fruit, b.kilos FROM orders a JOIN orders b ON a.fruit = b.fruit; END"
)


@pytest.fixture
def path(market: Market) -> str:
    market.env.execute_sql(VIEW)
    found = market.saved(TWO)
    market.env.execute_sql("RESET 'execution.state-recovery.path'")
    return found


def rows(env: TableEnvironment, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = env.execute_sql(sql).to_arrow().to_pylist()
    return found


def test_what_is_in_a_savepoint(market: Market, path: str) -> None:
    found = rows(market.env, f"SELECT * FROM savepoint_metadata('{path}')")
    assert list(found[0])[:4] == ["checkpoint-id", "operator-name", "operator-uid", "operator-uid-hash"]
    kinds = [(r["operator-kind"], r["operator-name"]) for r in found if r["operator-name"] != "Calc"]
    assert ("source", "default_catalog.default_database.orders") in kinds
    assert ("operator", "GroupAggregate") in kinds and ("operator", "Join") in kinds
    assert [k for k, _ in kinds].count("sink") == 2
    (join,) = (r for r in found if r["operator-name"] == "Join")
    assert join["state-names"] == "left, right" and join["state-rows"] == 4
    assert join["operator-total-size-in-bytes"] > 0
    assert join["operator-description"].startswith("Join(joinType=[InnerJoin], where=[(fruit = fruit0)]")


@pytest.mark.parametrize("name", ["GroupAggregate", "sums"])
def test_the_rows_of_an_operator_and_of_a_view(market: Market, path: str, name: str) -> None:
    query = f"SELECT kilos * 2 AS twice, UPPER(fruit) AS f FROM savepoint_state('{path}', '{name}') ORDER BY twice"
    assert rows(market.env, query) == [{"twice": 2, "f": "APPLE"}, {"twice": 10, "f": "PEAR"}]


def test_by_fingerprint(market: Market, path: str) -> None:
    known = rows(market.env, f"SELECT * FROM savepoint_metadata('{path}')")
    (uid,) = (r["operator-uid"] for r in known if r["operator-name"] == "GroupAggregate")
    assert rows(market.env, f"SELECT COUNT(*) AS n FROM TABLE(SAVEPOINT_STATE('{path}', '{uid}'))") == [
        {"n": 2}
    ]


def test_pieces_have_the_columns_of_what_they_keep(market: Market, path: str) -> None:
    right = rows(market.env, f"SELECT * FROM savepoint_state('{path}', 'Join', 'right') ORDER BY fruit")
    assert right == [{"fruit": "apple", "kilos": 1}, {"fruit": "pear", "kilos": 5}]
    left = rows(market.env, f"SELECT * FROM savepoint_state('{path}', 'Join', 'left') ORDER BY fruit")
    assert left == [{"fruit": "apple"}, {"fruit": "pear"}]
    keys = rows(
        market.env, f"SELECT * FROM savepoint_state('{path}', 'GroupAggregate', 'keys') ORDER BY key0"
    )
    assert keys == [{"key0": "apple"}, {"key0": "pear"}]


def test_a_piece_without_columns_is_empty(market: Market) -> None:
    top = f"SELECT *, ROW_NUMBER() OVER (ORDER BY kilos DESC) AS n FROM ({VIEW.split(' AS ', 1)[1]})"
    path = market.saved(f"INSERT INTO totals SELECT fruit, kilos, '' FROM ({top}) WHERE n <= 2")
    assert rows(market.env, f"SELECT * FROM savepoint_state('{path}', 'Rank', 'keys')") == []
    found = rows(market.env, f"SELECT * FROM savepoint_state('{path}', 'Rank')")
    assert found == [{"fruit": "pear", "kilos": 5}, {"fruit": "apple", "kilos": 1}]


def test_checkpoints_are_read_alike_and_by_another_session(market: Market, path: str) -> None:
    checkpoints = market.folder.parent / "checkpoints" / "insert_into_totals"
    with TableEnvironment() as env:
        env.execute_sql("SET 'execution.runtime-mode' = 'BATCH'")
        for place in (path, checkpoints, f"file://{path}"):
            found = rows(env, f"SELECT SUM(kilos) AS k FROM savepoint_state('{place}', 'sums')")
            assert found == [{"k": 6}], place


def test_a_view_over_it(market: Market, path: str) -> None:
    env = market.env
    env.execute_sql(f"CREATE VIEW before AS SELECT * FROM savepoint_state('{path}', 'sums')")
    assert rows(env, "SELECT SUM(kilos) AS k FROM before") == [{"k": 6}]


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        ("savepoint_state('{path}', 'Joi')", "holds no state of 'Joi'", "did you mean 'Join'?"),
        ("savepoint_state('{path}', '?')", "no state of '?'", "with state: GroupAggregate, Join; views: sums"),
        ("savepoint_state('{path}', 'Join', 'middle')", "Join keeps no state 'middle'", "it keeps left, right"),
        ("savepoint_state('{path}')", "takes ('path', 'operator')", ""),
        ("savepoint_metadata('{path}', 'x')", "takes ('path'), found 2", ""),
        ("savepoint_metadata(1 + 1)", "takes texts in quotes, found 1 + 1", ""),
        ("savepoint_metadata('/nowhere')", "there is no savepoint", "_metadata"),
        ("savepoint_metadata('/etc/passwd')", "there is no savepoint", "_metadata"),
        ("savepoint_state('{path}" + "x" * 300 + "', 'Join')", "cannot be read: File name too long", "give the path"),
        ("savepoint_metadata('')", "the path of a savepoint is empty", "_metadata"),
        ("savepoint_stat('x')", "table function SAVEPOINT_STAT", "did you mean 'SAVEPOINT_STATE'"),
    ],
)  # fmt: skip
def test_what_is_refused(market: Market, path: str, call: str, message: str, hint: str) -> None:
    with pytest.raises(StreamSqlError) as caught:
        market.env.execute_sql(f"SELECT * FROM {call.format(path=path)}")
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert caught.value.position is not None


def test_state_is_raw_where_the_job_cannot_be_planned(market: Market) -> None:
    market.env.create_temporary_function("twice", lambda_of_the_program)
    path = market.saved(SUMS.replace("SUM(kilos)", "SUM(twice(kilos))"))
    with TableEnvironment() as env:
        with pytest.raises(StateError) as caught:
            rows(env, f"SELECT * FROM savepoint_state('{path}', 'GroupAggregate')")
        assert "cannot be planned again" in caught.value.message
        assert "savepoint_state('…', 'GroupAggregate', 'keys')" in (caught.value.hint or "")
        keys = rows(env, f"SELECT * FROM savepoint_state('{path}', 'GroupAggregate', 'keys')")
        assert {"apple", "pear"} <= {v for row in keys for v in row.values()}


def lambda_of_the_program(x: int) -> int:
    return 2 * x
