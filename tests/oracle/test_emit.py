"""Windows that fire early and late end as those that fire once; rows within the lateness count."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import itertools
import random

import pyarrow as pa
import pytest

from streamsql.planner.emit import EmitStrategy
from streamsql.testing.compare import difference, rows_of

from .data import EMPTY, EVENTS
from .run import batch, final, restarted, run_every_way, session
from .tables import MILLIS, RETRACT, Input, at, table

TUMBLE = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))"
HOP = "TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND))"
CUMULATE = "TABLE(CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND))"
SESSION = "TABLE(SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '4' SECOND))"
BY = "window_start, window_end, k"
COUNTS = (
    f"SELECT {BY}, COUNT(*) AS c, SUM(v) AS s, MIN(v) AS m, COUNT(DISTINCT v) AS d FROM {{}} GROUP BY {BY}"
)
KEPT = f"SELECT {BY}, LISTAGG(DISTINCT CAST(v AS STRING)) AS l FROM {{}} WHERE v > -1 GROUP BY {BY}"

QUERIES = {
    "tumble": COUNTS.format(TUMBLE),
    "hop": COUNTS.format(HOP),
    "cumulate": COUNTS.format(CUMULATE),
    "session": COUNTS.format(SESSION),
    "kept rows": KEPT.format(HOP),
    "kept rows of sessions": KEPT.format(SESSION),
    "a filter of a session's rows": f"SELECT window_end, COUNT(*) AS c FROM {SESSION} WHERE v > 1 GROUP BY window_start, window_end",
    "having": f"SELECT window_start, COUNT(*) AS c FROM {TUMBLE} GROUP BY window_start, window_end HAVING COUNT(*) > 1",
    "the older form": "SELECT k, TUMBLE_START(ts, INTERVAL '10' SECOND) AS a, COUNT(*) AS n FROM t GROUP BY k, TUMBLE(ts, INTERVAL '10' SECOND)",
    "older sessions": "SELECT k, SESSION_START(ts, INTERVAL '4' SECOND) AS a, COUNT(*) AS n FROM t GROUP BY k, SESSION(ts, INTERVAL '4' SECOND)",
    "a window of windows": f"SELECT window_start, window_end, MAX(c) AS m, SUM(c) AS s FROM (SELECT {BY}, COUNT(*) AS c FROM {HOP} GROUP BY {BY}) GROUP BY window_start, window_end",
    "a window over a window's time": f"SELECT window_start, SUM(c) AS s FROM TABLE(TUMBLE(TABLE (SELECT window_time AS rt, COUNT(*) AS c FROM {TUMBLE} GROUP BY window_start, window_end, window_time), DESCRIPTOR(rt), INTERVAL '20' SECOND)) GROUP BY window_start, window_end",
    "the best of a window": f"SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY c DESC, k) AS r FROM (SELECT {BY}, COUNT(*) AS c FROM {TUMBLE} GROUP BY {BY})) WHERE r <= 2",
    "a join of windows": f"SELECT a.window_start, a.c, b.s FROM (SELECT window_start, window_end, COUNT(*) AS c FROM {TUMBLE} GROUP BY window_start, window_end) a LEFT JOIN (SELECT window_start, window_end, SUM(v) AS s FROM {TUMBLE} WHERE v > 1 GROUP BY window_start, window_end) b ON a.window_start = b.window_start AND a.window_end = b.window_end",
    "a total of windows": f"SELECT k, SUM(c) AS c FROM (SELECT {BY}, COUNT(*) AS c FROM {CUMULATE} GROUP BY {BY}) GROUP BY k",
}  # fmt: skip
SUMS = f"(SELECT {BY}, window_time, SUM(v) AS s FROM {TUMBLE} GROUP BY {BY}, window_time)"
OF_JOIN = f"(SELECT a.window_start, a.window_end, a.window_time, a.k, a.s, b.v FROM {SUMS} a JOIN {TUMBLE} b ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.k = b.k)"
ABOVE_JOINS = {
    "the best": f"SELECT window_start, v, r FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY v DESC) AS r FROM {OF_JOIN}) WHERE r <= 2",
    "a running sum": f"SELECT k, window_time, SUM(s) OVER (PARTITION BY k ORDER BY window_time) AS x FROM {OF_JOIN}",
    "rows in order of time": f"SELECT k, s, v, window_time FROM {OF_JOIN} ORDER BY window_time",
    "an interval": f"SELECT x.k, t.v FROM {OF_JOIN} x JOIN t ON x.k = t.k AND t.ts BETWEEN x.window_time - INTERVAL '1' SECOND AND x.window_time",
    "a second join": f"SELECT x.k, x.s, x.v, y.v AS w FROM {OF_JOIN} x JOIN {TUMBLE} y ON x.window_start = y.window_start AND x.window_end = y.window_end AND x.v < y.v",
    "the version that held": f"SELECT a.k, a.window_start, a.s, r.n FROM {SUMS} a LEFT JOIN r FOR SYSTEM_TIME AS OF a.window_time ON a.k = r.k",
}  # fmt: skip
"""What has to wait for windows that fire late, with what stands above it."""

STRATEGIES = {
    "early at once": EmitStrategy(early=0),
    "early, slowly": EmitStrategy(early=3_600_000),
    "late at once": EmitStrategy(late=0, lateness=60_000),
    "late, slowly": EmitStrategy(late=60_000, lateness=60_000),
    "both at once": EmitStrategy(early=0, late=0, lateness=60_000),
    "early at once, late slowly": EmitStrategy(early=0, late=50_000, lateness=60_000),
    "early slowly, late at once": EmitStrategy(early=5_000, late=0, lateness=60_000),
}


def settings(emit: EmitStrategy) -> list[str]:
    """The statements that set a strategy."""
    found = []
    for name, delay in (("early", emit.early), ("late", emit.late)):
        if delay is not None:
            found.append(f"SET 'table.exec.emit.{name}-fire.enabled' = 'true'")
            found.append(f"SET 'table.exec.emit.{name}-fire.delay' = '{delay} ms'")
    if emit.lateness is not None:
        found.append(f"SET 'table.exec.emit.allow-lateness' = '{emit.lateness} ms'")
    return found


COLUMNS = {"k": pa.string(), "v": pa.int32(), "ts": MILLIS}


def disordered(seed: int, late_s: float = 20) -> Input:
    """Rows up to ``late_s`` behind the latest, under a watermark of 2 s."""
    rng = random.Random(seed)
    latest, rows = 20.0, []
    for _ in range(30):
        latest += rng.choice((0, 0.5, 1, 4))
        rows.append((rng.choice("ab"), rng.randrange(5), latest - rng.choice((0, 0, 0, 1, 3, 8, late_s))))
    return Input("t", table(COLUMNS, *rows), "ts", 2)


PAIRS = [(q, s) for i, q in enumerate(QUERIES) for j, s in enumerate(STRATEGIES) if (i + j) % 4 == 0]
"""Every query with two strategies, every strategy with several queries."""


@pytest.mark.parametrize(("name", "strategy"), PAIRS)
def test_windows_end_alike(name: str, strategy: str) -> None:
    run_every_way(QUERIES[name], EVENTS, setup=settings(STRATEGIES[strategy]), steps=(7,))


def test_of_nothing() -> None:
    for name in ("tumble", "session", "a window of windows"):
        emit = settings(STRATEGIES["late, slowly"])
        assert run_every_way(QUERIES[name], EMPTY, setup=emit, steps=(7,), shuffles=()) == []


@pytest.mark.parametrize(("name", "strategy"), [(q, s) for q, s in PAIRS if STRATEGIES[s].late is not None])
def test_rows_within_the_lateness_count(name: str, strategy: str) -> None:
    late, emit = disordered(len(name)), STRATEGIES[strategy]
    expected = batch(QUERIES[name], [late])
    for step in (1, 7):
        with session([late], setup=settings(emit), step=step) as env:
            result = env.execute_sql(QUERIES[name])
            text = difference(rows_of(result.to_arrow()), expected)
            assert result.job is not None
            assert result.job.metrics().late_records_dropped == 0
        assert text is None, f"steps of {step}: {text}"
    text = difference(restarted(QUERIES[name], [late], step=5, emit=emit), expected)
    assert text is None, f"restarted: {text}"


@pytest.mark.parametrize("name", ABOVE_JOINS)
def test_rows_that_waited_for_late_ones_are_not_late(name: str) -> None:
    versions = [(k, n, 4 * n) for n, k in enumerate("ababababababababab")]
    columns = {"k": pa.string(), "n": pa.int32(), "since": MILLIS}
    tables = [disordered(3), Input("r", table(columns, *versions), "since", 0, key=("k",))]
    emit = EmitStrategy(late=0, lateness=60_000)
    expected = batch(ABOVE_JOINS[name], tables)
    text = difference(final(ABOVE_JOINS[name], tables, setup=settings(emit), step=2), expected)
    assert text is None, text
    text = difference(restarted(ABOVE_JOINS[name], tables, step=5, emit=emit), expected)
    assert text is None, f"restarted: {text}"


@pytest.mark.parametrize("name", ["tumble", "session", "kept rows", "a window of windows"])
def test_retractions_within_the_lateness_count(name: str) -> None:
    made = disordered(5).rows.to_pylist()
    log = [(+1, r) for r in made[:20]] + [(-1, r) for r in made[3:9]] + [(+1, r) for r in made[20:]]
    rows = pa.Table.from_pylist([r for _, r in log], schema=disordered(5).rows.schema)
    changing = Input("t", rows, "ts", 2, weights=tuple(w for w, _ in log), mode=RETRACT)
    emit = EmitStrategy(early=0, late=1000, lateness=100_000)
    expected = batch(QUERIES[name], [changing])
    text = difference(restarted(QUERIES[name], [changing], step=4, emit=emit), expected)
    assert text is None, text


@pytest.mark.parametrize("step", [1, 4])
def test_rows_beyond_the_lateness_are_dropped_and_counted(step: int) -> None:
    """A model: a row counts where its window's end and the lateness have not passed."""
    sql = f"SELECT {BY}, COUNT(*) AS c, SUM(v) AS s FROM {TUMBLE} GROUP BY {BY}"
    emit, dropped = EmitStrategy(late=0, lateness=6_000), 0
    for seed in range(3):
        late = disordered(seed)
        groups: dict[tuple[int, str], list[int]] = {}
        watermark, missed = float("-inf"), 0
        found = late.rows.to_pylist()
        for start in range(0, len(found), step):
            taken = found[start : start + step]
            for row in taken:
                second = (row["ts"] - at(0)).total_seconds()
                end = int(second // 10) * 10 + 10
                if end - 0.001 + 6 <= watermark:
                    missed += 1
                else:
                    groups.setdefault((end, row["k"]), []).append(row["v"])
            watermark = max([watermark, *((r["ts"] - at(0)).total_seconds() - 2 for r in taken)])
        expected = [(at(end - 10), at(end), k, len(vs), sum(vs)) for (end, k), vs in groups.items()]
        with session([late], setup=settings(emit), step=step) as env:
            result = env.execute_sql(sql)
            text = difference(rows_of(result.to_arrow()), expected)
            assert result.job is not None
            assert result.job.metrics().late_records_dropped == missed
        assert text is None, f"seed {seed}: {text}"
        dropped += missed
    assert dropped, "the seeds make no row that is too late"


def test_the_changelog_shows_each_value_once() -> None:
    sql = f"SELECT {BY}, COUNT(*) AS c FROM {TUMBLE} GROUP BY {BY}"
    late = disordered(1)
    with session([late], setup=settings(EmitStrategy(late=0, lateness=60_000)), step=1) as env:
        kinds = [(row.kind.short, row[1:]) for row in env.execute_sql(sql).collect()]
    inserted = [row for kind, row in kinds if kind == "+I"]
    assert len({row[:2] for row in inserted}) == len(inserted)  # a window comes once, then it is updated
    assert any(kind == "+U" for kind, _ in kinds)
    for before, after in itertools.pairwise(kinds):
        if before[0] == "-U":
            assert after[0] == "+U"
            assert after[1][:2] == before[1][:2]
            assert after[1] != before[1]


@pytest.mark.parametrize(
    ("emit", "shown"),
    [
        (EmitStrategy(early=0), "emit=[early no delay], changelogMode=[I,UB,UA]"),
        (EmitStrategy(early=5000), "emit=[early delay 5000 millisecond], changelogMode=[I,UB,UA]"),
        (EmitStrategy(late=7, lateness=60_000), "emit=[late delay 7 millisecond], changelogMode=[I,UB,UA]"),
        (EmitStrategy(early=0, late=0, lateness=1), "emit=[early no delay, late no delay], changelogMode"),
    ],
)
def test_the_plan_says_so(emit: EmitStrategy, shown: str) -> None:
    with session([EVENTS], setup=settings(emit)) as env:
        assert shown in env.explain_sql(QUERIES["tumble"], "CHANGELOG_MODE")
        assert shown in env.explain_sql(QUERIES["the older form"], "CHANGELOG_MODE")
