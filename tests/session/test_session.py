"""TableEnvironment as its user meets it, without Kafka."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator

import pyarrow as pa
import pytest

from streamsql import (
    CatalogError,
    ConfigError,
    EnvironmentSettings,
    JobError,
    Row,
    RowKind,
    TableEnvironment,
    ValidationError,
    udf,
)


@pytest.fixture
def env() -> Iterator[TableEnvironment]:
    with TableEnvironment() as made:
        yield made


def people() -> pa.Table:
    return pa.table({"name": ["ann", "bob", "ann"], "points": [1, 2, 3]})


def wait_until(condition: object, timeout_s: float = 10) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


# -- results -----------------------------------------------------------------------------------------------


def test_a_query_yields_rows_with_kinds_and_names(env: TableEnvironment) -> None:
    env.config.set("streamsql.step.max-rows", "1")
    env.from_arrow(people(), "people")
    rows = list(env.execute_sql("SELECT name, SUM(points) AS s FROM people GROUP BY name").collect())
    assert [(r.kind.short, *r) for r in rows] == [
        ("+I", "ann", 1),
        ("+I", "bob", 2),
        ("-U", "ann", 1),
        ("+U", "ann", 4),
    ]
    assert rows[0].as_dict() == {"name": "ann", "s": 1}
    assert rows[0] == Row(("ann", 1))
    assert rows[3].get_row_kind() is RowKind.UPDATE_AFTER


def test_to_arrow_is_the_final_table(env: TableEnvironment) -> None:
    env.config.set("streamsql.step.max-rows", "1")
    env.from_arrow(people(), "people")
    table = env.execute_sql("SELECT name, SUM(points) AS s FROM people GROUP BY name").to_arrow()
    assert sorted(table.to_pylist(), key=str) == [{"name": "ann", "s": 4}, {"name": "bob", "s": 2}]


def test_to_pandas(env: TableEnvironment) -> None:
    frame = env.from_arrow(people(), "people").to_pandas()
    assert list(frame["points"]) == [1, 2, 3]


def test_a_pandas_frame_is_a_table(env: TableEnvironment) -> None:
    import pandas as pd

    env.create_temporary_view("frame", pd.DataFrame({"a": [1, 2]}))
    assert env.execute_sql("SELECT SUM(a) AS s FROM frame").to_arrow().to_pylist() == [{"s": 3}]


def test_a_table_of_a_query_can_be_named(env: TableEnvironment) -> None:
    table = env.from_arrow(people(), "people")
    env.create_temporary_view("all_people", table)
    assert env.sql_query("SELECT COUNT(*) AS n FROM all_people").to_arrow().to_pylist() == [{"n": 3}]


def test_an_unbounded_result_has_no_final_table(env: TableEnvironment) -> None:
    env.create_in_process_table("open", pa.schema([("a", pa.int64())]))
    with env.execute_sql("SELECT a FROM open") as result:
        assert not result.bounded
        with pytest.raises(ValidationError, match="never ends"):
            result.to_arrow()
    assert result.job is not None
    assert result.job.status == "CANCELED"


def test_ddl_answers_ok(env: TableEnvironment) -> None:
    result = env.execute_sql("CREATE VIEW v AS SELECT 1 AS one")
    assert result.result_kind == "SUCCESS"
    assert result.message == "OK"
    assert list(result.collect()) == [("OK",)]


def test_constant_queries_answer_at_once(env: TableEnvironment) -> None:
    result = env.execute_sql("SELECT 1 AS a, 'x' AS b UNION ALL VALUES (2, 'y')")
    assert sorted(result.to_arrow().to_pylist(), key=str) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


# -- appending while running -------------------------------------------------------------------------------


def test_rows_appended_while_a_job_runs_are_read(env: TableEnvironment) -> None:
    table = env.create_in_process_table("live", pa.schema([("a", pa.int64())]))
    rows = env.execute_sql("SELECT SUM(a) AS s FROM live").collect()
    table.append(pa.table({"a": [1, 2]}))
    assert next(rows) == (3,)
    table.append(pa.table({"a": [10]}))
    assert [next(rows), next(rows)] == [(3,), (13,)]
    table.finish()
    assert list(rows) == []


def test_two_jobs_read_one_table_on_their_own(env: TableEnvironment) -> None:
    table = env.create_in_process_table("live", pa.schema([("a", pa.int64())]))
    first = env.execute_sql("SELECT a FROM live").collect()
    table.append(pa.table({"a": [1]}))
    assert next(first) == (1,)
    second = env.execute_sql("SELECT a * 2 AS b FROM live").collect()
    assert next(second) == (2,)
    assert [j.status for j in env.jobs()] == ["RUNNING", "RUNNING"]


# -- inserts and jobs --------------------------------------------------------------------------------------


def test_insert_writes_and_finishes(env: TableEnvironment) -> None:
    env.from_arrow(people(), "people")
    sink = env.create_in_process_table("sink", pa.schema([("name", pa.string()), ("n", pa.int64())]))
    result = env.execute_sql("INSERT INTO sink (n, name) SELECT points + 1, UPPER(name) FROM people")
    assert result.wait(10)
    assert result.job is not None
    assert (result.job.status, result.job.name) == ("FINISHED", "insert_into_sink")
    written, _, _ = sink.read(0, 10)
    assert written is not None
    assert written.rows.to_pydict() == {"name": ["ANN", "BOB", "ANN"], "n": [2, 3, 4]}


def test_a_statement_set_is_one_job_with_one_scan(env: TableEnvironment) -> None:
    env.from_arrow(people(), "people")
    schema = pa.schema([("name", pa.string())])
    low, high = env.create_in_process_table("low", schema), env.create_in_process_table("high", schema)
    made = env.create_statement_set()
    made.add_insert_sql("INSERT INTO low SELECT name FROM people WHERE points < 2")
    made.add_insert_sql("INSERT INTO high SELECT name FROM people WHERE points >= 2")
    assert "Reused" in made.explain()
    assert made.execute().wait(10)
    assert (low.num_rows, high.num_rows, len(env.jobs())) == (1, 2, 1)


def test_a_statement_set_in_sql(env: TableEnvironment) -> None:
    env.from_arrow(people(), "people")
    sink = env.create_in_process_table("sink", pa.schema([("name", pa.string())]))
    env.execute_sql("BEGIN STATEMENT SET")
    env.execute_sql("INSERT INTO sink SELECT name FROM people")
    env.execute_sql("INSERT INTO sink SELECT name FROM people")
    assert env.execute_sql("END").wait(10)
    assert sink.num_rows == 6


def test_show_describe_and_stop_job(env: TableEnvironment) -> None:
    env.create_in_process_table("open", pa.schema([("a", pa.int64())]))
    env.create_in_process_table("sink", pa.schema([("a", pa.int64())]))
    job = env.execute_sql("INSERT INTO sink SELECT a FROM open").job
    assert job is not None
    (row,) = env.execute_sql("SHOW JOBS").collect()
    assert tuple(row)[:3] == (job.id, "insert_into_sink", "RUNNING")
    assert [next(iter(r)) for r in env.execute_sql(f"DESCRIBE JOB '{job.id}'").collect()] == [job.id]
    env.execute_sql(f"STOP JOB '{job.id}'")
    assert job.status == "CANCELED"
    with pytest.raises(CatalogError, match="does not exist"):
        env.execute_sql("STOP JOB 'nope'")
    with pytest.raises(ConfigError, match="WITH SAVEPOINT needs a directory"):
        env.execute_sql(f"STOP JOB '{job.id}' WITH SAVEPOINT")


def test_stop_with_drain_fires_the_open_windows(env: TableEnvironment) -> None:
    schema = pa.schema([("ts", pa.timestamp("ms"))])
    table = env.create_in_process_table("open", schema, watermark="ts")
    sink = env.create_in_process_table("sink", pa.schema([("n", pa.int64())]))
    job = env.execute_sql(
        "INSERT INTO sink SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE open, DESCRIPTOR(ts), INTERVAL '1' HOUR)) "
        "GROUP BY window_start, window_end"
    ).job
    assert job is not None
    table.append(pa.table({"ts": pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("ms"))}))
    wait_until(lambda: job.metrics().records_in == 1)
    assert sink.num_rows == 0
    env.execute_sql(f"STOP JOB '{job.id}' WITH DRAIN")
    assert (job.status, sink.num_rows) == ("FINISHED", 1)


def test_a_failing_job_shows_its_error_and_leaves_the_others_alone(env: TableEnvironment) -> None:
    table = env.create_in_process_table("texts", pa.schema([("t", pa.string())]))
    good = env.execute_sql("SELECT t FROM texts").collect()
    bad = env.execute_sql("SELECT CAST(t AS INT) AS n FROM texts")
    table.append(pa.table({"t": ["1", "x"]}))
    with pytest.raises(JobError, match=r"(?s)failed:.*'x'.*TRY_CAST") as caught:
        list(bad.collect())
    assert "Calc(select=[CAST(t AS INT) AS n])" in str(caught.value)
    assert bad.job is not None
    assert bad.job.status == "FAILED"
    assert [next(good), next(good)] == [("1",), ("x",)]
    table.append(pa.table({"t": ["y"]}))
    assert next(good) == ("y",)


def test_dml_sync_waits(env: TableEnvironment) -> None:
    env.from_arrow(people(), "people")
    sink = env.create_in_process_table("sink", pa.schema([("name", pa.string())]))
    env.execute_sql("SET 'table.dml-sync' = 'true'")
    env.execute_sql("INSERT INTO sink SELECT name FROM people")
    assert sink.num_rows == 3


def test_a_job_whose_client_does_not_read_can_be_stopped(
    env: TableEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamsql.runtime.operators.collect.QUEUE_ROWS_MAX", 10)
    monkeypatch.setattr("streamsql.runtime.attempt.METRICS_SPACING_S", 0)
    env.config.set("streamsql.step.max-rows", "5")
    env.from_arrow(pa.table({"a": range(1000)}), "t")
    result = env.execute_sql("SELECT a FROM t")
    assert result.job is not None
    job = result.job
    wait_until(lambda: job.metrics().records_in >= 10)
    assert not job.wait(0.1), "the job waits for its client"
    env.execute_sql(f"STOP JOB '{job.id}'")
    assert job.status == "CANCELED"


# -- running jobs as tables --------------------------------------------------------------------------------


def test_a_running_view_answers_select(env: TableEnvironment) -> None:
    table = env.create_in_process_table("moves", pa.schema([("who", pa.string()), ("n", pa.int64())]))
    env.create_in_process_table("board_log", pa.schema([("who", pa.string()), ("total", pa.int64())]))
    env.execute_sql("CREATE VIEW board AS SELECT who, SUM(n) AS total FROM moves GROUP BY who")
    job = env.execute_sql("INSERT INTO board_log SELECT who, total FROM board").job
    assert job is not None
    table.append(pa.table({"who": ["a", "b", "a"], "n": [1, 2, 3]}))
    wait_until(lambda: job.metrics().records_in == 3)
    found = env.execute_sql("SELECT * FROM jobs.board ORDER BY total DESC LIMIT 1").to_arrow().to_pylist()
    assert found == [{"who": "a", "total": 4}]
    joined = env.execute_sql(
        "SELECT x.who, y.total FROM jobs.board AS x JOIN jobs.insert_into_board_log.GroupAggregate AS y "
        "ON x.who = y.who WHERE x.total > 3"
    )
    assert joined.to_arrow().to_pylist() == [{"who": "a", "total": 4}]
    table.append(pa.table({"who": ["b"], "n": [5]}))
    wait_until(lambda: job.metrics().records_in == 4)
    (row,) = env.execute_sql("SELECT MAX(total) AS m FROM jobs.board").collect()
    assert row == (7,)
    job.stop()
    with pytest.raises(CatalogError, match="board"):
        env.execute_sql("SELECT * FROM jobs.board")


def test_a_stream_is_no_table_of_a_running_job(env: TableEnvironment) -> None:
    env.create_in_process_table("moves", pa.schema([("n", pa.int64())]))
    env.create_in_process_table("sink", pa.schema([("n", pa.int64())]))
    env.execute_sql("INSERT INTO sink SELECT n FROM moves WHERE n > 1")
    with pytest.raises(CatalogError):
        env.execute_sql("SELECT * FROM jobs.moves")


# -- batch mode --------------------------------------------------------------------------------------------


def test_batch_mode_answers_everything_at_once() -> None:
    with TableEnvironment.create(EnvironmentSettings.in_batch_mode()) as env:
        env.from_arrow(people(), "people")
        found = env.execute_sql(
            "SELECT p.name, q.points FROM people AS p JOIN people AS q ON p.name = q.name "
            "WHERE p.points < q.points ORDER BY q.points DESC"
        )
        assert found.to_arrow().to_pylist() == [{"name": "ann", "points": 3}]
        env.create_in_process_table("sink", pa.schema([("n", pa.int64())]))
        assert env.execute_sql("INSERT INTO sink SELECT COUNT(*) FROM people").wait(10)


def test_batch_mode_refuses_an_endless_source() -> None:
    with TableEnvironment.create(EnvironmentSettings.in_batch_mode()) as env:
        env.create_in_process_table("open", pa.schema([("a", pa.int64())]))
        with pytest.raises(ValidationError, match="never ends"):
            env.execute_sql("SELECT a FROM open")


# -- time --------------------------------------------------------------------------------------------------


def test_processing_time_comes_from_the_clock_of_the_session() -> None:
    now = 1_700_000_000_000
    with TableEnvironment(now_ms=lambda: now) as env:
        env.from_arrow(pa.table({"a": [1]}), "t")
        (row,) = env.execute_sql("SELECT CURRENT_TIMESTAMP AS t, PROCTIME() AS p FROM t").collect()
        assert {v.timestamp() for v in row} == {now / 1000}


@pytest.mark.parametrize("mode", ["STREAMING", "BATCH"])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT window_end FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND)) "
        "GROUP BY window_start, window_end",
        "SELECT window_end FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND))",
    ],
)
def test_a_time_just_before_a_boundary_stays_in_its_window(
    env: TableEnvironment, mode: str, query: str
) -> None:
    """Microseconds are rounded down to milliseconds, also before 1970."""
    times = [dt.datetime(2024, 1, 1, 0, 0, 0, 999_999), dt.datetime(1969, 12, 31, 23, 59, 59, 999_999)]
    env.from_arrow(pa.table({"ts": pa.array(times, pa.timestamp("us"))}), "t", watermark="ts")
    env.execute_sql(f"SET 'execution.runtime-mode' = '{mode}'")
    ends = sorted(r[0] for r in env.execute_sql(query).collect())
    assert ends == [dt.datetime(1970, 1, 1), dt.datetime(2024, 1, 1, 0, 0, 1)]


# -- functions ---------------------------------------------------------------------------------------------


def test_python_functions(env: TableEnvironment) -> None:
    @udf(result_type="DECIMAL(10, 2)", input_types=["DECIMAL(10, 2)", "INT"])
    def discounted(price: object, percent: int) -> object:
        return None if price is None else price * (100 - percent) / 100  # type: ignore[operator]

    def shout(text: str) -> str:
        return text.upper() + "!"

    env.create_temporary_function("discounted", discounted)
    env.create_temporary_system_function("shout", shout)
    (row,) = env.execute_sql("SELECT discounted(8, 25) AS d, SHOUT('hi') AS s").collect()
    assert (str(row[0]), row[1]) == ("6.00", "HI!")
    with pytest.raises(ValidationError, match=r"discounted: .* is no DECIMAL"):
        env.execute_sql("SELECT discounted('x', 1)")
    assert env.drop_temporary_function("discounted")
    with pytest.raises(ValidationError, match="unknown function"):
        env.execute_sql("SELECT discounted(8, 25)")


def test_a_function_that_raises_fails_its_job(env: TableEnvironment) -> None:
    def broken(a: int) -> int:
        raise RuntimeError("no bananas left")

    env.create_temporary_function("broken", broken)
    env.from_arrow(pa.table({"a": [1]}), "t")
    with pytest.raises(JobError, match="no bananas left"):
        list(env.execute_sql("SELECT broken(a) AS b FROM t").collect())
