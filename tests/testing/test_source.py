"""Source tables: declarations, kinds, steps, turns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from streamsql.changelog import Row, RowKind
from streamsql.errors import CatalogError, JobError, SqlSyntaxError, StreamSqlError, ValidationError
from streamsql.session import EnvironmentSettings, TableEnvironment
from streamsql.testing import assert_changelog, sink_table, source_table

RETRACT, UPSERT = "I,UB,UA,D", "I,UA,D"


@pytest.fixture
def env() -> Iterator[TableEnvironment]:
    with TableEnvironment() as env:
        yield env


def at(second: float) -> dt.datetime:
    return dt.datetime(2024, 1, 1) + dt.timedelta(seconds=second)


def test_computed_columns_watermark_and_key(env: TableEnvironment) -> None:
    source_table(
        env,
        """CREATE TABLE orders (
             id BIGINT NOT NULL,
             `price each` DECIMAL(10, 2),
             n INT COMMENT 'how many',
             total AS `price each` * n,
             at_ms BIGINT,
             ts AS TO_TIMESTAMP_LTZ(at_ms, 3),
             seen AS PROCTIME(),
             WATERMARK FOR ts AS ts - INTERVAL '5' SECOND,
             CONSTRAINT pk PRIMARY KEY (id) NOT ENFORCED
           ) COMMENT 'all orders';""",
        [("+I", 1, "2.50", 2, 1000), ("+I", 2, "1", 3, 12_000), ("+I", 3, "1", 1, 30_000)],
    )
    described = env.execute_sql("DESCRIBE orders").to_arrow().to_pylist()
    assert [r["name"] for r in described] == ["id", "price each", "n", "total", "at_ms", "ts", "seen"]
    sink = sink_table(env, "CREATE TABLE s (window_start TIMESTAMP_LTZ(3), total DECIMAL(20, 2))")
    env.execute_sql(
        """INSERT INTO s SELECT window_start, SUM(total)
           FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end"""
    ).wait()
    assert_changelog(
        sink, "+I 1970-01-01T00:00:00Z 5.00\n+I 1970-01-01T00:00:10Z 3.00\n+I 1970-01-01T00:00:30Z 1"
    )


def test_positional_and_keyword_arguments(env: TableEnvironment) -> None:
    ddl = "CREATE TABLE {} (k STRING, v INT, PRIMARY KEY (k) NOT ENFORCED)"
    rows = [("+I", "a", 1), ("+U", "a", 2)]
    source_table(env, ddl.format("a"), rows, UPSERT, 2, True)
    source_table(env=env, ddl=ddl.format("b"), rows=rows, changelog_mode=UPSERT, step_rows=1, bounded=True)
    source_table(env, ddl.format("c"), None)
    source_table(env, ddl.format("d"), iter(rows), UPSERT)
    for name, n in (("a", 1), ("b", 1), ("c", 0), ("d", 1)):
        assert env.execute_sql(f"SELECT * FROM {name}").to_arrow().num_rows == n


def test_steps_and_what_an_aggregate_sees_of_them(env: TableEnvironment) -> None:
    rows = [("+I", "a", n) for n in range(5)]
    shown = []
    for step in (1, 2, 5, 100):
        name = f"t{step}"
        source_table(env, f"CREATE TABLE {name} (k STRING, v INT)", rows, step_rows=step)
        result = env.execute_sql(f"SELECT k, COUNT(*) FROM {name} GROUP BY k")
        shown.append([f"{r.kind.short}{r[1]}" for r in result.collect()])
    assert shown == [
        ["+I1", "-U1", "+U2", "-U2", "+U3", "-U3", "+U4", "-U4", "+U5"],
        ["+I2", "-U2", "+U4", "-U4", "+U5"],
        ["+I5"],
        ["+I5"],
    ]


def test_a_row_is_late_against_earlier_steps_only(env: TableEnvironment) -> None:
    ddl = "CREATE TABLE {} (ts TIMESTAMP(3), WATERMARK FOR ts AS ts)"
    rows = [("+I", at(s)) for s in (1, 30, 2)]
    counts = []
    for step in (1, 2, 3):
        source_table(env, ddl.format(f"t{step}"), rows, step_rows=step)
        query = f"""SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE t{step}, DESCRIPTOR(ts), INTERVAL '10' SECOND))
                    GROUP BY window_start, window_end"""
        counts.append([r[0] for r in env.execute_sql(query).collect()])
    assert counts == [[1, 1], [1, 1], [2, 1]]


def test_sources_take_turns_in_the_order_of_their_registration(env: TableEnvironment) -> None:
    source_table(env, "CREATE TABLE a (x STRING)", [("+I", f"a{i}") for i in range(3)])
    source_table(env, "CREATE TABLE b (x STRING)", [("+I", f"b{i}") for i in range(5)], step_rows=2)
    source_table(env, "CREATE TABLE c (x STRING)", [("+I", f"c{i}") for i in range(2)])
    sink = sink_table(env, "CREATE TABLE s (x STRING)")
    env.execute_sql(
        "INSERT INTO s SELECT x FROM c UNION ALL SELECT x FROM b UNION ALL SELECT x FROM a"
    ).wait()
    assert [r.x for r in sink.changelog()] == ["a0", "b0", "b1", "c0", "a1", "b2", "b3", "c1", "a2", "b4"]


def test_a_table_that_is_read_twice_is_one_source(env: TableEnvironment) -> None:
    source_table(env, "CREATE TABLE t (x INT)", [("+I", 1), ("+I", 2), ("+I", 3)])
    source_table(env, "CREATE TABLE u (x INT)", [("+I", 7), ("+I", 8)])
    sink = sink_table(env, "CREATE TABLE s (x INT)")
    env.execute_sql(
        "INSERT INTO s SELECT x FROM t UNION ALL SELECT x FROM u UNION ALL SELECT x * 10 FROM t"
    ).wait()
    assert [r.x for r in sink.changelog()] == [1, 10, 7, 2, 20, 8, 3, 30]


def test_turns_without_mini_batches(env: TableEnvironment) -> None:
    """A step of the job is one row then; a turn of the source still has all of its rows."""
    env.execute_sql("SET 'table.exec.mini-batch.enabled' = 'false'")
    source_table(env, "CREATE TABLE a (x STRING)", [("+I", f"a{i}") for i in range(4)], step_rows=2)
    source_table(env, "CREATE TABLE b (x STRING)", [("+I", f"b{i}") for i in range(2)])
    sink = sink_table(env, "CREATE TABLE s (x STRING)")
    env.execute_sql("INSERT INTO s SELECT x FROM a UNION ALL SELECT x FROM b").wait()
    assert [r.x for r in sink.changelog()] == ["a0", "a1", "b0", "a2", "a3", "b1"]


def test_the_watermark_of_a_job_is_the_lowest_of_its_sources(env: TableEnvironment) -> None:
    ddl = "CREATE TABLE {} (ts TIMESTAMP(3), WATERMARK FOR ts AS ts)"
    source_table(env, ddl.format("a"), [("+I", at(s)) for s in (1, 40, 50)])
    source_table(env, ddl.format("b"), [("+I", at(s)) for s in (2, 3, 60)])
    env.execute_sql("CREATE VIEW both AS SELECT ts FROM a UNION ALL SELECT ts FROM b")
    rows = env.execute_sql(
        """SELECT window_start, COUNT(*) AS c
           FROM TABLE(TUMBLE(TABLE both, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end"""
    )
    assert [(r[0], r.c) for r in rows.collect()] == [(at(0), 3), (at(40), 1), (at(50), 1), (at(60), 1)]


def test_steps_do_not_wait_for_the_least_time_between_steps(env: TableEnvironment) -> None:
    """With it the test would take an hour."""
    env.execute_sql("SET 'streamsql.step.min-interval' = '1 min'")
    source_table(env, "CREATE TABLE t (v INT)", [("+I", i) for i in range(60)])
    assert env.execute_sql("SELECT SUM(v) AS s FROM t").to_arrow().to_pylist() == [{"s": 1770}]


@pytest.mark.parametrize(
    ("mode", "rows", "left"),
    [
        ("I", [("+I", "a", 1), ("+I", "a", 1)], [("a", 1), ("a", 1)]),
        (
            RETRACT,
            [("+I", "a", 1), ("-U", "a", 1), ("+U", "a", 2), ("+I", "b", 1), ("-D", "b", 1)],
            [("a", 2)],
        ),
        ("I,UA,UB,D", [("+I", "a", 1), ("-D", "a", 1)], []),
        ("I, D", [("+I", "a", 1), ("-D", "a", 1)], []),
    ],
)
def test_changelog_modes(env: TableEnvironment, mode: str, rows: Any, left: Any) -> None:
    source_table(env, "CREATE TABLE t (k STRING, v INT)", rows, changelog_mode=mode)
    assert [tuple(r.values()) for r in env.execute_sql("SELECT * FROM t").to_arrow().to_pylist()] == left


@pytest.mark.parametrize("deletion", [("-D", "a", None), ("-D", "a", 2)])
def test_upserts_with_deletions_by_key_or_in_full(env: TableEnvironment, deletion: Any) -> None:
    rows = [("+I", "a", 1), ("+U", "a", 2), ("+U", "b", 5), deletion]
    ddl = "CREATE TABLE t (k STRING, v INT NOT NULL, w AS v * 10, PRIMARY KEY (k) NOT ENFORCED)"
    source_table(env, ddl, rows, changelog_mode=UPSERT)
    sums = env.execute_sql("SELECT COUNT(*), SUM(v), SUM(w) FROM t")
    assert_changelog(
        sums,
        """
        +I 1 1 10
        -U 1 1 10
        +U 1 2 20
        -U 1 2 20
        +U 2 7 70
        -U 2 7 70
        +U 1 5 50
        """,
    )


def test_the_same_rows_in_batch_mode() -> None:
    rows = [("+I", "a", 1), ("+U", "a", 2), ("+U", "b", 5), ("-D", "a", None)]
    with TableEnvironment(EnvironmentSettings.in_batch_mode()) as env:
        ddl = "CREATE TABLE t (k STRING, v INT, PRIMARY KEY (k) NOT ENFORCED)"
        source_table(env, ddl, rows, changelog_mode=UPSERT)
        sink = sink_table(env, "CREATE TABLE s (k STRING, v INT)")
        env.execute_sql("INSERT INTO s SELECT * FROM t").wait()
        assert sink.rows() == [("b", 5)]


def test_a_changelog_can_be_handed_in_as_it_came_out(env: TableEnvironment) -> None:
    source_table(env, "CREATE TABLE t (k STRING, v INT)", [("+I", "a", 1), ("+I", "a", 2)])
    sink = sink_table(env, "CREATE TABLE s (k STRING, n BIGINT)")
    env.execute_sql("INSERT INTO s SELECT k, COUNT(*) FROM t GROUP BY k").wait()
    source_table(env, "CREATE TABLE u (k STRING, n BIGINT)", sink.changelog(), changelog_mode=RETRACT)
    assert env.execute_sql("SELECT * FROM u").to_arrow().to_pylist() == [{"k": "a", "n": 2}]
    source_table(env, "CREATE TABLE w (k STRING)", [(RowKind.INSERT, "a"), Row(("b",))])
    assert env.execute_sql("SELECT * FROM w").to_arrow().num_rows == 2


T = "CREATE TABLE t (k STRING, v INT, d AS v * 2, PRIMARY KEY (k) NOT ENFORCED)"
WHERE = "table default_catalog.default_database.t, row 1 (rows[0])"


@pytest.mark.parametrize(
    ("row", "mode", "message"),
    [
        (("a", 1), "I", f"{WHERE}: expected a kind (+I, -U, +U or -D) first, found 'a'"),
        (("+X", "a", 1), "I", f"{WHERE}: expected a kind (+I, -U, +U or -D) first, found '+X'"),
        (("-D", "a", 1), "I", f"{WHERE}: the kind -D is not in the table's changelog_mode, which allows +I"),
        (("-U", "a", 1), UPSERT, f"{WHERE}: the kind -U is not in the table's changelog_mode"),
        (
            ("-D", "a", 1),
            "I,UA",
            f"{WHERE}: the kind -D is not in the table's changelog_mode, which allows +I, +U",
        ),
        (("+I", "a"), "I", "expected 2 values after the kind, found 1; computed columns (d) take none"),
        (("+I", "a", 1, 2), "I", "expected 2 values after the kind, found 3"),
        (("-D", None, 1), UPSERT, f"{WHERE}, column 'k': expected STRING NOT NULL, found None"),
        ("+I", "I", f"{WHERE}: expected a kind and values, found '+I'"),
        ((), "I", f"{WHERE}: expected a kind and values, found ()"),
        (7, "I", f"{WHERE}: expected a kind and values, found 7"),
    ],
)
def test_rows_that_do_not_fit(env: TableEnvironment, row: Any, mode: str, message: str) -> None:
    with pytest.raises(ValidationError) as error:
        source_table(env, T, [row], changelog_mode=mode)
    assert message in error.value.message
    assert "t" not in env.list_tables(), "nothing is registered"


@pytest.mark.parametrize("mode", ["", "X", "UA,D", "I,UB", "append", "I;D"])
def test_changelog_modes_that_are_none(env: TableEnvironment, mode: str) -> None:
    with pytest.raises(ValidationError, match=r"changelog_mode '.*' is none"):
        source_table(env, T, changelog_mode=mode)


@pytest.mark.parametrize("step_rows", [0, -1, 1.5, True, "2"])
def test_step_rows_that_are_none(env: TableEnvironment, step_rows: Any) -> None:
    with pytest.raises(ValidationError, match="step_rows is a number of rows above 0"):
        source_table(env, T, step_rows=step_rows)


@pytest.mark.parametrize(
    ("ddl", "message"),
    [
        ("SELECT 1", "a test table is declared with CREATE TABLE"),
        ("CREATE TABLE t (v INT) WITH ('connector' = 'kafka')", "has no options of its own"),
        ("CREATE TABLE t AS SELECT 1 AS a", "declared column by column, not with AS query"),
        (
            "CREATE TABLE t (v INT, ts TIMESTAMP(3) METADATA FROM 'timestamp')",
            "column 'ts' is a METADATA column",
        ),
        ("CREATE TABLE t (v INT, o BIGINT METADATA VIRTUAL)", "column 'o' is a METADATA column"),
        ("CREATE TABLE t (v INT) PARTITIONED BY (v)", "has no partitions of its own"),
        ("CREATE TABLE t (v INT, PRIMARY KEY (w) NOT ENFORCED)", "the table has no column 'w'"),
        ("CREATE TABLE t (v INT, WATERMARK FOR v AS v)", "expected TIMESTAMP(p)"),
        ("CREATE TABLE t (v INT, d AS x + 1)", "x"),
    ],
)
def test_declarations_that_are_refused(env: TableEnvironment, ddl: str, message: str) -> None:
    for make in (source_table, sink_table):
        with pytest.raises(ValidationError) as error:
            make(env, ddl)
        assert message in error.value.message


def test_like_is_refused(env: TableEnvironment) -> None:
    source_table(env, T)
    with pytest.raises(ValidationError, match="not with LIKE"):
        source_table(env, "CREATE TABLE u LIKE t")


def test_text_that_is_no_statement(env: TableEnvironment) -> None:
    with pytest.raises(SqlSyntaxError):
        source_table(env, "CREATE TABLE t (v INT")


def test_upserts_need_a_key(env: TableEnvironment) -> None:
    with pytest.raises(ValidationError, match="says upserts, which need a primary key"):
        source_table(env, "CREATE TABLE t (v INT)", changelog_mode=UPSERT)


def test_a_name_is_taken_once(env: TableEnvironment) -> None:
    source_table(env, T)
    with pytest.raises(CatalogError, match="exists already"):
        source_table(env, T)
    env.execute_sql("DROP TABLE t")
    source_table(env, T, [("+I", "a", 1)])
    assert env.execute_sql("SELECT d FROM t").to_arrow().to_pylist() == [{"d": 2}]


def test_a_query_that_is_refused_raises(env: TableEnvironment) -> None:
    source_table(env, T)
    with pytest.raises(ValidationError, match="nothing"):
        env.execute_sql("SELECT nothing FROM t")


def test_a_job_that_fails_raises_where_it_is_waited_for(env: TableEnvironment) -> None:
    source_table(env, "CREATE TABLE t (v STRING)", [("+I", "1"), ("+I", "x"), ("+I", "2")])
    sink = sink_table(env, "CREATE TABLE s (v INT)")
    result = env.execute_sql("INSERT INTO s SELECT CAST(v AS INT) FROM t")
    with pytest.raises(JobError, match="'x'"):
        result.wait()
    assert sink.rows() == [(1,)]
    with pytest.raises(StreamSqlError, match="'x'"):
        list(env.execute_sql("SELECT CAST(v AS INT) FROM t").collect())
