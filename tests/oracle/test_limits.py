"""LIMIT, OFFSET and ORDER BY: continuous results, sorts by time, sorts of what ends."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.errors import UnsupportedError
from streamsql.session import TableEnvironment
from streamsql.testing.compare import rows_of

from .data import CHANGES, EMPTY, EVENTS, OTHER, UPSERTS
from .run import in_duckdb, restarted, run_every_way, session, stream
from .tables import MILLIS, Input, at, table

LIMITS = {
    "first rows": ("SELECT k, v, s FROM t LIMIT 5", "SELECT k, v, s FROM t_o ORDER BY o LIMIT 5"),
    "none": ("SELECT k FROM t LIMIT 0", "SELECT k FROM t LIMIT 0"),
    "more than there are": ("SELECT k, v FROM t LIMIT 1000", "SELECT k, v FROM t"),
    "offset": ("SELECT k, v FROM t LIMIT 4 OFFSET 3", "SELECT k, v FROM t_o ORDER BY o LIMIT 4 OFFSET 3"),
    "offset alone": ("SELECT k, v FROM t OFFSET 20", "SELECT k, v FROM t_o ORDER BY o OFFSET 20"),
    "fetch": ("SELECT k, v FROM t FETCH FIRST 3 ROWS ONLY", "SELECT k, v FROM t_o ORDER BY o LIMIT 3"),
    "after a filter": ("SELECT k, v FROM t WHERE v > 4 LIMIT 3", "SELECT k, v FROM t_o WHERE v > 4 ORDER BY o LIMIT 3"),
    "below a group": ("SELECT k, COUNT(*) AS n FROM (SELECT * FROM t LIMIT 7) GROUP BY k", "SELECT k, count(*) FROM (SELECT * FROM t_o ORDER BY o LIMIT 7) GROUP BY k"),
    "order": ("SELECT k, v, big, s FROM t ORDER BY v DESC, k, big LIMIT 6", "SELECT k, v, big, s FROM t_o ORDER BY v DESC NULLS LAST, k NULLS FIRST, big NULLS FIRST, o LIMIT 6"),
    "order by arrival where equal": ("SELECT k, v FROM t ORDER BY k LIMIT 9", "SELECT k, v FROM t_o ORDER BY k NULLS FIRST, o LIMIT 9"),
    "order by a column that is not shown": ("SELECT k FROM t ORDER BY x DESC LIMIT 3 OFFSET 1", "SELECT k FROM t ORDER BY x DESC NULLS LAST LIMIT 3 OFFSET 1"),
    "order by an expression": ("SELECT k, v FROM t ORDER BY ABS(v) DESC, ts LIMIT 4", "SELECT k, v FROM t ORDER BY abs(v) DESC NULLS LAST, ts LIMIT 4"),
    "NULLs stated": ("SELECT k, v FROM t ORDER BY v NULLS LAST, ts DESC NULLS FIRST LIMIT 4", "SELECT k, v FROM t ORDER BY v NULLS LAST, ts DESC NULLS FIRST LIMIT 4"),
    "order and offset without limit": ("SELECT k, v FROM t ORDER BY v, ts OFFSET 5", "SELECT k, v FROM t ORDER BY v NULLS FIRST, ts OFFSET 5"),
    "leaders of groups": ("SELECT k, COUNT(*) AS n, SUM(v) AS s FROM t GROUP BY k ORDER BY n DESC, k LIMIT 3", "SELECT k, count(*) AS n, sum(v) FROM t GROUP BY k ORDER BY n DESC, k NULLS FIRST LIMIT 3"),
    "limit of a limit": ("SELECT k, v FROM (SELECT k, v, ts FROM t ORDER BY v DESC, ts LIMIT 8) ORDER BY v, k, ts LIMIT 3", "SELECT k, v FROM (SELECT k, v, ts FROM t ORDER BY v DESC NULLS LAST, ts LIMIT 8) ORDER BY v NULLS FIRST, k NULLS FIRST, ts LIMIT 3"),
    "union of limits": ("(SELECT k FROM t ORDER BY v LIMIT 1) UNION ALL (SELECT k FROM t ORDER BY big DESC LIMIT 2)", "(SELECT k FROM t ORDER BY v NULLS FIRST LIMIT 1) UNION ALL (SELECT k FROM t ORDER BY big DESC NULLS LAST LIMIT 2)"),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "plain"), LIMITS.values(), ids=LIMITS)
def test_limit(sql: str, plain: str) -> None:
    run_every_way(sql, EVENTS, plain, shuffles=(1, 2))


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("name", ["offset", "order", "leaders of groups", "below a group"])
def test_limit_restarted(name: str, step: int) -> None:
    sql, _ = LIMITS[name]
    assert sorted(restarted(sql, [EVENTS], step=step), key=repr) == sorted(stream(sql, [EVENTS]), key=repr)


UPDATED = {
    "order": ("SELECT k, v, g FROM c ORDER BY v DESC, k, g LIMIT 3", CHANGES, "SELECT k, v, g FROM c ORDER BY v DESC NULLS LAST, k NULLS FIRST, g NULLS FIRST LIMIT 3"),
    "offset": ("SELECT k, v FROM c ORDER BY v, k LIMIT 2 OFFSET 2", CHANGES, "SELECT k, v FROM c ORDER BY v NULLS FIRST, k NULLS FIRST LIMIT 2 OFFSET 2"),
    "upserts": ("SELECT id, k, v FROM p ORDER BY v DESC, id LIMIT 2", UPSERTS, "SELECT id, k, v FROM p ORDER BY v DESC NULLS LAST, id LIMIT 2"),
    "only the values": ("SELECT v FROM p ORDER BY v DESC, id LIMIT 3", UPSERTS, "SELECT v FROM p ORDER BY v DESC NULLS LAST, id LIMIT 3"),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "rows", "plain"), UPDATED.values(), ids=UPDATED)
def test_limit_of_a_changelog(sql: str, rows: Input, plain: str) -> None:
    run_every_way(sql, rows, plain)


@pytest.mark.parametrize("step", [1, 3, 100])
def test_any_rows_of_a_changelog_are_rows_of_it(step: int) -> None:
    whole = stream("SELECT k, v, x FROM c", [CHANGES])
    for count in (1, 3, 50):
        found = stream(f"SELECT k, v, x FROM c LIMIT {count}", [CHANGES], step=step)
        assert len(found) == min(count, len(whole))
        assert not [row for row in found if found.count(row) > whole.count(row)]


def test_limit_of_nothing() -> None:
    for sql in (
        "SELECT k FROM t LIMIT 3",
        "SELECT k FROM t ORDER BY v LIMIT 3",
        "SELECT k FROM t ORDER BY v",
    ):
        assert run_every_way(sql, EMPTY, steps=(7,)) == []


# -- sorts ---------------------------------------------------------------------------------------------------------
def _order_of(sql: str, inputs: list[Input], step: int) -> list[tuple[object, ...]]:
    """The rows as they are emitted."""
    with session(inputs, step=step) as env:
        rows = list(env.execute_sql(sql).collect())
    assert {r.kind.short for r in rows} <= {"+I"}
    return [tuple(r) for r in rows]


@pytest.mark.parametrize("step", [1, 7, 100])
@pytest.mark.parametrize(
    ("sql", "plain"),
    [
        ("SELECT k, v, ts FROM t ORDER BY ts", "SELECT k, v, ts FROM t_o ORDER BY ts, o"),
        ("SELECT ts, v, k FROM t ORDER BY ts, v DESC, k", "SELECT ts, v, k FROM t_o ORDER BY ts, v DESC NULLS LAST, k NULLS FIRST, o"),
        ("SELECT v FROM t WHERE v > 1 ORDER BY ts, k", "SELECT v FROM t_o WHERE v > 1 ORDER BY ts, k NULLS FIRST, o"),
        ("SELECT v, k FROM t ORDER BY v DESC, k, big", "SELECT v, k FROM t_o ORDER BY v DESC NULLS LAST, k NULLS FIRST, big NULLS FIRST, o"),
        ("SELECT k, COUNT(*) AS n FROM t GROUP BY k ORDER BY n, k", "SELECT k, count(*) AS n FROM t GROUP BY k ORDER BY n, k NULLS FIRST"),
    ],
)  # fmt: skip
def test_sort(sql: str, plain: str, step: int) -> None:
    for rows in (EVENTS, EVENTS.shuffled(3)):
        assert _order_of(sql, [rows], step) == in_duckdb(plain, [rows])


def test_a_sort_of_a_changelog_ends_with_what_is_left() -> None:
    run_every_way("SELECT k, v, g FROM c ORDER BY v, k, g", CHANGES, "SELECT k, v, g FROM c")


def test_a_sorted_union_waits_for_both() -> None:
    both = "SELECT ts, k, v FROM t UNION ALL SELECT ts, k, v FROM u"
    sql = f"SELECT * FROM ({both}) ORDER BY ts, k, v"
    for step in (1, 7):
        found = _order_of(sql, [EVENTS, OTHER], step)
        assert [row[0] for row in found] == sorted(row[0] for row in found)  # type: ignore[type-var]
        assert len(found) == EVENTS.rows.num_rows + OTHER.rows.num_rows


def test_late_and_timeless_rows_are_not_sorted() -> None:
    rows = table({"v": pa.int32(), "ts": MILLIS}, (1, 10), (2, 5), (3, None), (4, 11), (5, 10))
    with session([Input("t", rows, "ts")], step=1) as env:
        result = env.execute_sql("SELECT v, ts FROM t ORDER BY ts")
        found = rows_of(result.to_arrow())
        assert result.job is not None
        counts = next(m for n, m in result.job.metrics().operators.items() if n == "TemporalSort")
    assert found == [(1, at(10)), (4, at(11))]
    assert (counts["numLateRecordsDropped"], counts["numNullTimeDropped"]) == (2, 1)


ENDLESS = "CREATE TABLE g (a INT, b INT) WITH ('connector' = 'datagen', 'rows-per-second' = '10000')"


def test_a_limit_ends_the_job() -> None:
    with TableEnvironment() as env:
        env.execute_sql(ENDLESS)
        for sql, rows in (
            ("SELECT * FROM g LIMIT 5", 5),
            ("SELECT * FROM g LIMIT 0", 0),
            ("SELECT COUNT(*) FROM (SELECT * FROM g LIMIT 5)", 1),
            ("(SELECT a FROM g LIMIT 2) UNION ALL (SELECT b FROM g LIMIT 3)", 5),
        ):
            result = env.execute_sql(sql)
            assert result.limited and not result.bounded
            assert result.to_arrow().num_rows == rows
            assert result.job is not None
            result.job.wait()
            assert result.job.status == "FINISHED"


def test_an_endless_order_is_refused() -> None:
    with TableEnvironment() as env:
        env.execute_sql(ENDLESS)
        with pytest.raises(UnsupportedError, match="the input does not end") as e:
            env.execute_sql("SELECT a FROM g ORDER BY a")
        assert "LIMIT" in str(e.value.hint)
