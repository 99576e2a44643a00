"""State that was not written for its time to live is gone: each operator, with the clock set by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.planner.convert import PhysicalOptions
from streamsql.planner.emit import EmitStrategy
from streamsql.runtime.build import BuildOptions
from tests.harness import Harness, Table, harness

K, V, T = ("k", pa.string()), ("v", pa.int64()), ("t", pa.timestamp("ms"))
APPEND = Table(dict([K, V]), proctime="p")
TIMED = Table(dict([K, V, T]), time="t")
UPSERT = Table(dict([K, V]), mode="I,UA,D", key=("k",))
RETRACT = Table(dict([K, V]), mode="I,UB,UA,D")
HOUR = 3_600_000


def with_ttl(sql: str, restored: bool = False, ttl_ms: int = HOUR, **tables: Table) -> Harness:
    options = BuildOptions(threads=1, state_ttl_ms=ttl_ms)
    return harness(sql, tables, build_options=options, restored=restored)


def test_a_group_lives_from_its_last_row_on(restored: bool) -> None:
    with with_ttl("SELECT k, SUM(v) AS s FROM t GROUP BY k", restored, t=APPEND) as h:
        h.push("+I a 1\n+I b 1")
        h.advance_time(HOUR - 1)
        h.push("+I a 2")
        h.take()
        h.advance_time(1)  # b is an hour old
        assert h.state_rows()["GroupAggregate.keys"] == 1
        h.push("+I b 5\n+I a 10")
        assert h.take() == ["+I b 5", "-U a 3", "+U a 13"]


def test_without_a_time_to_live_a_group_is_kept(restored: bool) -> None:
    with with_ttl("SELECT k, SUM(v) AS s FROM t GROUP BY k", restored, 0, t=APPEND) as h:
        h.push("+I a 1")
        h.advance_time(1000 * HOUR)
        h.push("+I a 1")
        assert h.take() == ["+I a 1", "-U a 1", "+U a 2"]


def test_a_hint_is_about_the_groups_of_its_query(restored: bool) -> None:
    hint = "/*+ STATE_TTL('t' = '1 min') */"
    sql = f"SELECT n, COUNT(*) AS c FROM (SELECT {hint} k, COUNT(*) AS n FROM t GROUP BY k) GROUP BY n"
    with with_ttl(sql, restored, t=APPEND) as h:
        h.push("+I a 1")
        h.advance_time(60_000)
        h.push("+I a 1")  # a group of one again; the count of such groups is still known
        assert h.take() == ["+I 1 1", "-U 1 1", "+U 1 2"]


@pytest.mark.parametrize(
    "select",
    ["SELECT k, MAX(v) AS m FROM t GROUP BY k", "SELECT k, LISTAGG(DISTINCT CAST(v AS STRING)) AS m FROM t GROUP BY k"],
)  # fmt: skip
def test_an_unchanged_group_is_sent_again_but_not_out_of_the_job(select: str) -> None:
    for ttl_ms, sent in ((HOUR, 3), (0, 1)):
        with with_ttl(select, False, ttl_ms, t=APPEND) as h:
            h.push("+I a 5")
            h.push("+I a 5")
            assert h.take() == ["+I a 5"]
            assert h.metrics("GroupAggregate").num_records_out == sent


def test_state_above_an_unchanged_group_lives_as_long(restored: bool) -> None:
    sql = "SELECT m, COUNT(*) AS n FROM (SELECT k, MAX(v) AS m FROM t GROUP BY k) GROUP BY m"
    with with_ttl(sql, restored, t=APPEND) as h:
        h.push("+I a 5\n+I b 5")
        for _ in range(4):
            h.advance_time(HOUR // 2)
            h.push("+I a 1\n+I b 1")
        h.take()
        h.push("+I a 6")
        assert h.take() == ["-U 5 2", "+U 5 1", "+I 6 1"]


def test_a_value_counted_once_is_remembered_as_long_as_its_group(restored: bool) -> None:
    sql = "SELECT k, COUNT(DISTINCT v) AS n FROM t GROUP BY k"
    with with_ttl(sql, restored, t=APPEND) as h:
        h.push("+I a 1\n+I b 1")
        for _ in range(3):
            h.advance_time(HOUR // 2)
            h.push("+I a 2")
        h.take()
        h.push("+I a 1\n+I b 1")  # in the group of a, 1 has not come for more than an hour
        assert h.take() == ["+I b 1"]
        h.advance_time(HOUR)
        assert h.state_rows() == {}


def test_a_deletion_of_what_has_expired_changes_nothing(restored: bool) -> None:
    for select in ("COUNT(DISTINCT v)", "SUM(v)", "MIN(v)"):
        with with_ttl(f"SELECT k, {select} AS n FROM t GROUP BY k", restored, t=RETRACT) as h:
            h.push("+I a 1")
            h.take()
            h.advance_time(HOUR)
            h.push("-D a 1")
            assert h.take() == []
            h.push("+I a 1")
            assert h.take() == ["+I a 1"]


@pytest.mark.parametrize("function", ["SUM(v)", "STDDEV_POP(v)", "MAX(v)"])
def test_one_group_for_all_starts_anew(function: str, restored: bool) -> None:
    with with_ttl(f"SELECT {function} AS s FROM t", restored, t=APPEND) as h:
        h.push("+I a 1")
        h.take()
        h.advance_time(HOUR)
        h.finish()
        assert h.take() == []  # it has had its say
        h.push("+I a 4")
        assert len(h.take()) == 1


def test_groups_recomputed_from_their_rows(restored: bool) -> None:
    sql = "SELECT k, MIN(v) AS m FROM t GROUP BY k"
    with with_ttl(sql, restored, t=RETRACT) as h:
        h.push("+I a 1\n+I a 3\n+I b 2")
        h.advance_time(HOUR // 2)
        h.push("+I b 9")
        h.take()
        h.advance_time(HOUR // 2)
        h.push("+I a 7\n+I b 8")
        assert h.take() == ["+I a 7"]
        h.push("-D b 2")
        assert h.take() == ["-U b 2", "+U b 8"]


def test_upserts_start_anew(restored: bool) -> None:
    sql = "SELECT SUM(v) AS s, COUNT(*) AS n FROM t"
    with with_ttl("SELECT v, COUNT(*) AS n FROM t GROUP BY v", restored, t=UPSERT) as h:
        h.push("+I a 1\n+I b 1")
        h.advance_time(HOUR // 2)
        h.push("+U a 1")  # an equal row
        h.advance_time(HOUR // 2)
        h.take()
        assert h.state_rows()["ChangelogNormalize.keys"] == 1
        h.push("+U a 2")
        assert h.take() == ["-U 1 2", "+U 1 1", "+I 2 1"]  # the group of 1 was refreshed by a
    with with_ttl(sql, restored, t=UPSERT) as h:
        h.push("+I a 1")
        h.advance_time(HOUR)
        h.push("-D a 1")
        assert h.take() == ["+I 1 1"]


def test_top_n_of_a_partition_starts_anew(restored: bool) -> None:
    for function, table in (
        ("ROW_NUMBER", APPEND),
        ("RANK", APPEND),
        ("RANK", RETRACT),
        ("ROW_NUMBER", RETRACT),
    ):
        ranked = f"(SELECT *, {function}() OVER (PARTITION BY k ORDER BY v DESC) AS r FROM t)"
        with with_ttl(f"SELECT k, v FROM {ranked} WHERE r <= 2", restored, t=table) as h:
            h.push("+I a 9\n+I a 8\n+I b 9")
            h.advance_time(HOUR // 2)
            h.push("+I b 7")
            h.take()
            h.advance_time(HOUR // 2)
            h.push("+I a 1\n+I b 8")
            assert sorted(h.take()) == ["+I a 1", "+I b 8", "-D b 7"]


def test_a_deletion_from_a_ranking_that_has_expired_changes_nothing(restored: bool) -> None:
    for function in ("ROW_NUMBER", "RANK"):
        ranked = f"(SELECT *, {function}() OVER (PARTITION BY k ORDER BY v DESC) AS r FROM t)"
        with with_ttl(f"SELECT k, v FROM {ranked} WHERE r <= 1", restored, t=RETRACT) as h:
            h.push("+I a 9\n+I a 8")
            h.take()
            h.advance_time(HOUR)
            h.push("-D a 9\n+I b 1")
            assert h.take() == ["+I b 1"]
            h.push("+I a 9")
            h.push("+I a 8")
            assert h.take() == ["+I a 9"]
            h.push("-D a 9")
            assert [line[3:] for line in h.take()] == ["a 9", "a 8"]


def test_deduplication_keeps_the_first_for_its_time(restored: bool) -> None:
    ranked = "(SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p) AS r FROM t)"
    with with_ttl(f"SELECT k, v FROM {ranked} WHERE r = 1", restored, t=APPEND) as h:
        h.push("+I a 1")
        h.advance_time(HOUR - 1)
        h.push("+I a 2")
        assert h.take() == ["+I a 1"]
        h.advance_time(1)
        h.push("+I a 3")
        assert h.take() == ["+I a 3"]


def test_deduplication_keeps_the_last_from_its_last_row_on(restored: bool) -> None:
    ranked = "(SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p DESC) AS r FROM t)"
    with with_ttl(f"SELECT k, v FROM {ranked} WHERE r = 1", restored, t=APPEND) as h:
        h.push("+I a 1")
        h.advance_time(HOUR - 1)
        h.push("+I a 1")
        h.advance_time(HOUR - 1)
        h.push("+I a 2")
        assert h.take() == ["+I a 1", "-U a 1", "+U a 2"]
        h.advance_time(HOUR)
        h.push("+I a 3")
        assert h.take() == ["+I a 3"]


def test_set_operations_forget_rows(restored: bool) -> None:
    with with_ttl("SELECT k FROM t INTERSECT SELECT k FROM u", restored, t=RETRACT, u=RETRACT) as h:
        h.push("+I a 1", "t")
        h.advance_time(HOUR)
        h.push("+I a 1", "u")
        assert h.take() == []
        h.push("-D a 1", "t")
        h.push("+I a 1", "t")
        assert h.take() == ["+I a"]


@pytest.mark.parametrize(
    ("frame", "value"),
    [
        ("ORDER BY p ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "SUM(v)"),
        ("ORDER BY p ROWS BETWEEN 5 PRECEDING AND CURRENT ROW", "SUM(v)"),
        ("ORDER BY p ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", "MAX(v) + 0 * COUNT(DISTINCT v)"),
        ("ORDER BY v DESC", "SUM(v)"),
    ],
)
def test_window_functions_without_a_length_of_time(frame: str, value: str, restored: bool) -> None:
    sql = f"SELECT k, v, {value.replace(')', f') OVER (PARTITION BY k {frame})')} AS s FROM t"
    with with_ttl(sql, restored, t=APPEND) as h:
        h.push("+I a 9\n+I b 9")
        h.advance_time(HOUR // 2)
        h.push("+I b 8")
        h.take()
        h.advance_time(HOUR // 2)
        h.push("+I a 1\n+I b 7")
        found = h.take()
        assert "+I a 1 1" in found
        assert "+I b 7 7" not in found
        h.advance_time(HOUR)
        assert not any(name.endswith(".keys") for name in h.state_rows())


def test_windows_have_no_time_to_live(restored: bool) -> None:
    sql = """SELECT window_start, k, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(t), INTERVAL '1' MINUTE))
             GROUP BY window_start, window_end, k"""
    early = PhysicalOptions(emit=EmitStrategy(early=0))
    for options in (PhysicalOptions(), early):
        build = BuildOptions(threads=1, state_ttl_ms=1000)
        with harness(sql, {"t": TIMED}, options=options, build_options=build, restored=restored) as h:
            h.push("+I a 1 1000")
            h.advance_time(HOUR)
            h.push("+I a 1 2000")
            h.watermark(60_000)
            assert h.take()[-1].endswith("a 2")


def test_idle_jobs_wake_to_forget_but_not_often() -> None:
    with with_ttl("SELECT k, SUM(v) AS s FROM t GROUP BY k", t=APPEND) as h:
        graph = h._built.plan.graph
        assert graph.next_timer_ms() is None
        for second in range(100):
            h.now_ms = second * 1000
            h.push(f"+I k{second} 1")
        wakes = 0
        while (timer := graph.next_timer_ms()) is not None:
            wakes += 1
            h.now_ms = timer
            h.step({}, {})
        assert h.state_rows() == {}
        assert h.now_ms <= HOUR + 100_000 + HOUR // 16
        assert wakes <= 3
        assert h.metrics("GroupAggregate").num_state_entries_expired == 100
