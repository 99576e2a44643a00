"""Python functions that yield rows: LATERAL TABLE(f(x)), streaming and batch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streamsql import EnvironmentSettings, StreamSqlError, TableEnvironment, udtf

ROWS = "(VALUES ('a b', 2), ('c', 1), (CAST(NULL AS STRING), 3), ('', 4)) AS t (s, n)"


@udtf(result_types=["STRING", "INT"], input_types=["STRING"])
def words(text: str | None) -> Iterator[tuple[str, int]]:
    """Each word and its length."""
    for word in (text or "").split():
        yield word, len(word)


@udtf(result_types="BIGINT")
def numbers(n: int) -> list[int] | None:
    """The numbers below n; none for 1."""
    return None if n == 1 else list(range(n))


@pytest.fixture(params=["streaming", "batch"])
def env(request: pytest.FixtureRequest) -> Iterator[TableEnvironment]:
    batch = request.param == "batch"
    settings = EnvironmentSettings.in_batch_mode() if batch else EnvironmentSettings.in_streaming_mode()
    with TableEnvironment(settings) as made:
        made.create_temporary_function("words", words)
        made.create_temporary_function("numbers", numbers)
        yield made


def rows(env: TableEnvironment, sql: str) -> list[tuple[object, ...]]:
    return sorted(map(tuple, env.execute_sql(sql).collect()), key=repr)


def test_each_row_with_the_rows_of_the_function(env: TableEnvironment) -> None:
    sql = f"SELECT s, w, c FROM {ROWS}, LATERAL TABLE(words(s)) AS l (w, c)"
    assert rows(env, sql) == [("a b", "a", 1), ("a b", "b", 1), ("c", "c", 1)]


def test_a_row_without_any_stays(env: TableEnvironment) -> None:
    sql = f"SELECT n, f0, f1 FROM {ROWS} LEFT JOIN LATERAL TABLE(words(s)) AS l ON TRUE"
    assert rows(env, sql) == [(1, "c", 1), (2, "a", 1), (2, "b", 1), (3, None, None), (4, None, None)]


def test_one_column(env: TableEnvironment) -> None:
    sql = f"SELECT n, COUNT(*) AS c, SUM(x) AS s FROM {ROWS} CROSS JOIN LATERAL TABLE(numbers(n)) AS l (x) GROUP BY n"
    table = env.execute_sql(sql).to_arrow()
    assert sorted(tuple(row.values()) for row in table.to_pylist()) == [(2, 2, 1), (3, 3, 3), (4, 4, 6)]


def test_it_is_python_still() -> None:
    assert words("a bc") == [{"f0": "a", "f1": 1}, {"f0": "bc", "f1": 2}]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "SELECT w FROM (VALUES (1)) AS t (n), LATERAL TABLE(nothing(n)) AS l (w)",
            "unknown function nothing",
        ),
        (
            "SELECT w FROM (VALUES (1)) AS t (n), LATERAL TABLE(numbers(n)) AS l (w, x)",
            "the alias names 2 columns",
        ),
        ("SELECT w FROM (VALUES ('a')) AS t (s), LATERAL TABLE(UPPER(s)) AS l (w)", "expects an ARRAY"),
    ],
)
def test_what_is_refused(env: TableEnvironment, sql: str, message: str) -> None:
    with pytest.raises(StreamSqlError, match=message):
        env.execute_sql(sql)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM TABLE(words('a bc'))", [("a", 1), ("bc", 2)]),
        ("SELECT w FROM TABLE(words('a bc')) AS f (w, n) WHERE n > 1", [("bc",)]),
        (f"SELECT n, w FROM {ROWS} JOIN TABLE(words('c d')) AS f (w, l) ON t.s = f.w", [(1, "c")]),
    ],
)
def test_of_constants(env: TableEnvironment, sql: str, expected: list[tuple[object, ...]]) -> None:
    assert rows(env, sql) == expected


def test_columns_need_lateral(env: TableEnvironment) -> None:
    with pytest.raises(StreamSqlError, match="unknown column 's'") as raised:
        env.execute_sql(f"SELECT * FROM {ROWS}, TABLE(words(s)) AS f (w, l)")
    assert raised.value.hint == "LATERAL TABLE(f(x)) reads columns of the tables before it"
