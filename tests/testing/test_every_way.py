"""run_every_way: it runs the query in every way, and it sees what differs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest

from streamsql.errors import JobError, ValidationError
from streamsql.runtime.checkpoint.points import POINTS
from streamsql.session import TableEnvironment
from streamsql.testing import Input, every_way, replay, run_every_way
from streamsql.testing.crashes import CrashSchedule
from streamsql.testing.every_way import Setup


def at(second: float) -> dt.datetime:
    return dt.datetime(2024, 1, 1) + dt.timedelta(seconds=second)


DDL = "CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)"
ROWS = [("+I", "ab"[i % 2], i, at(i)) for i in range(30)]
TIMES = [0, 3, 1, 8, 4, 30, 26, 27, 40]


def test_a_window_every_way() -> None:
    rows = run_every_way(
        """SELECT window_start, k, SUM(v) AS total
           FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k""",
        {DDL: ROWS},
    )
    assert sorted(rows) == [
        (at(0), "a", 20), (at(0), "b", 25), (at(10), "a", 70), (at(10), "b", 75), (at(20), "a", 120), (at(20), "b", 125)
    ]  # fmt: skip
    assert rows[0].names == ("window_start", "k", "total")


def test_inputs_in_their_forms_and_setup() -> None:
    query = "SELECT COUNT(*) FROM v"
    upserts = [("+I", "a", 1), ("+U", "a", 2), ("+I", "b", 1), ("-D", "a", None), ("+U", "c", 2)]
    ddl = "CREATE TABLE u (k STRING, v INT, PRIMARY KEY (k) NOT ENFORCED)"
    setup: Sequence[Setup] = ["CREATE VIEW v AS SELECT * FROM u", lambda env: env.execute_sql("SHOW VIEWS")]
    for inputs in (
        Input(ddl, upserts, "I,UA,D"),
        [(ddl, upserts, "I,UA,D")],
        [Input(ddl, upserts, "I,UA,D")],
    ):
        assert run_every_way(query, inputs, setup=setup, steps=[2]) == [(2,)]
    assert run_every_way(
        "SELECT k FROM t WHERE v > 28", [(DDL, ROWS)], setup="SET 'pipeline.name' = 'x'"
    ) == [("b",)]


def test_orders_of_arrival_in_which_nothing_is_late() -> None:
    given = Input(DDL, [("+I", "k", i, at(s)) for i, s in enumerate(TIMES)])
    seen = {tuple(row[2] for row in given.shuffled(seed).rows) for seed in range(20)}
    assert len(seen) > 5
    for order in seen:
        assert sorted(order) == list(range(len(TIMES)))
        highest = -100.0
        for i in order:
            assert TIMES[i] > highest - 5 or i == 6, "26 s was late as it was given: 30 s came before"
            highest = max(highest, TIMES[i])


def test_orders_keep_the_changes_of_a_key() -> None:
    ddl = "CREATE TABLE u (k STRING, v INT, PRIMARY KEY (k) NOT ENFORCED)"
    rows = [("+U", k, v) for v in range(4) for k in "abc"]
    orders = [Input(ddl, rows, "I,UA,D").shuffled(seed).rows for seed in range(5)]
    assert len({tuple(row[1] for row in order) for order in orders}) > 1
    for order in orders:
        for k in "abc":
            assert [row[2] for row in order if row[1] == k] == [0, 1, 2, 3]


def test_an_answer_that_depends_on_the_order() -> None:
    query = "SELECT k, FIRST_VALUE(v) AS v FROM t GROUP BY k"
    ddl = "CREATE TABLE t (k STRING, v INT)"
    rows = [("+I", "a", n) for n in range(8)]
    with pytest.raises(AssertionError, match="another order of arrival"):
        run_every_way(query, {ddl: rows})
    assert run_every_way(query, {ddl: rows}, order_matters=True) == [("a", 0)]


def test_an_answer_that_depends_on_the_steps() -> None:
    """A row that is late only against earlier steps."""
    late = [("+I", "a", 1, at(0)), ("+I", "a", 2, at(60)), ("+I", "a", 3, at(1))]
    with pytest.raises(AssertionError, match="steps of 1 row and batch mode differ"):
        run_every_way(
            """SELECT window_start, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))
               GROUP BY window_start, window_end""",
            {DDL: late},
        )


def test_without_batch_mode() -> None:
    assert run_every_way("SELECT SUM(v) FROM t", {DDL: ROWS}, in_batch=False, steps=[3, None]) == [(435,)]
    with pytest.raises(AssertionError, match="nothing was run"):
        run_every_way("SELECT 1", {}, in_batch=False, steps=[], shuffles=[])


def test_it_sees_an_answer_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(every_way, "replay", lambda log, key: replay(log, key)[1:])
    with pytest.raises(AssertionError, match="differ"):
        run_every_way("SELECT v FROM t", {DDL: ROWS})


def test_errors_come_as_they_are() -> None:
    with pytest.raises(ValidationError, match="nothing"):
        run_every_way("SELECT nothing FROM t", {DDL: ROWS})
    with pytest.raises(ValidationError, match="run_every_way takes a query"):
        run_every_way("INSERT INTO t SELECT * FROM t", {DDL: ROWS})
    bad = [("+I", "1"), ("+I", "x")]
    with pytest.raises(JobError, match="'x'") as error:
        run_every_way("SELECT CAST(k AS INT) FROM t", {"CREATE TABLE t (k STRING)": bad}, in_batch=False)
    assert error.value.__notes__ == ["streamed: steps of 1 row"]


def test_every_session_is_closed() -> None:
    sessions: list[TableEnvironment] = []
    run_every_way("SELECT v FROM t", {DDL: ROWS[:2]}, setup=[sessions.append])
    assert len(sessions) > 6, "batch, three step sizes, two orders, those that crash"
    assert all(env._closed for env in sessions)


@pytest.mark.parametrize("count", [0, 2, 30])
def test_jobs_die_once_at_every_point(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    schedules: list[CrashSchedule] = []

    def remembered(**options: Any) -> CrashSchedule:
        schedules.append(CrashSchedule(**options))
        return schedules[-1]

    monkeypatch.setattr(every_way, "CrashSchedule", remembered)
    run_every_way("SELECT k, SUM(v) FROM t GROUP BY k", {DDL: ROWS[:count]}, steps=[None], shuffles=[])
    assert sorted(point for s in schedules for point in s.crashes) == sorted(POINTS)
