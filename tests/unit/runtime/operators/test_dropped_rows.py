"""Every operator that waits for event time counts what it leaves out: one late row and one without a time."""

from __future__ import annotations

import pyarrow as pa
import pytest

from streamsql.planner.convert import PhysicalOptions
from streamsql.planner.emit import EmitStrategy
from tests.harness import Harness, Table, harness

ROWS = Table({"k": pa.string(), "v": pa.int32(), "ts": pa.timestamp("ms")}, time="ts")
VERSIONS = Table(dict(ROWS.columns), time="ts", mode="I,UA,D", key=("k",))
TUMBLE = "TABLE(TUMBLE(TABLE {}, DESCRIPTOR(ts), INTERVAL '1' SECOND))"
T, A, B = (TUMBLE.format(n) for n in "tab")
COUNTED = f"SELECT window_start, COUNT(*) AS n FROM {T} GROUP BY window_start, window_end"

ONE = {
    "windows": COUNTED,
    "windows of a sub-query": COUNTED.replace(T, f"(SELECT * FROM {T} WHERE v > RAND() - 1)"),
    "sessions": COUNTED.replace("TUMBLE", "SESSION"),
    "ranks in windows": f"""SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (
        PARTITION BY window_start, window_end ORDER BY v) AS r FROM {T}) WHERE r <= 1""",
    "OVER": "SELECT k, SUM(v) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s FROM t",
    "OVER without a bound": "SELECT k, SUM(v) OVER (PARTITION BY k ORDER BY ts) AS s FROM t",
    "deduplication": """SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) AS r FROM t)
        WHERE r = 1""",
    "sorting": "SELECT k, ts FROM t ORDER BY ts",
    "MATCH_RECOGNIZE": """SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES A.v AS v PATTERN (A)
        DEFINE A AS A.v > 0) AS m""",
}  # fmt: skip
TWO = {
    "interval join": "SELECT a.v FROM a JOIN b ON a.k = b.k AND a.ts BETWEEN b.ts AND b.ts + INTERVAL '1' SECOND",
    "window join": f"""SELECT l.v FROM (SELECT * FROM {A}) l JOIN (SELECT * FROM {B}) r
        ON l.k = r.k AND l.window_start = r.window_start AND l.window_end = r.window_end""",
    "temporal join": "SELECT a.v FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.k = b.k",
}


def dropped(h: Harness, table: str) -> tuple[int, int]:
    """Rows left out because they are late, and because they have no time."""
    h.push("+I x 1 10000", table, 20_000)
    for other in h.tables:
        h.watermark(20_000, other)
    h.push("+I x 2 5000\n+I x 3 null", table)
    h.finish()
    metrics = [v.context.metrics for v in h._vertices()]
    return sum(m.num_late_records_dropped for m in metrics), sum(m.num_null_time_dropped for m in metrics)


@pytest.mark.parametrize("sql", ONE.values(), ids=ONE)
def test_of_one_input(sql: str) -> None:
    with harness(sql, {"t": ROWS}) as h:
        assert dropped(h, "t") == (1, 1)


def test_of_windows_that_fire_early() -> None:
    with harness(COUNTED, {"t": ROWS}, options=PhysicalOptions(emit=EmitStrategy(early=0))) as h:
        assert dropped(h, "t") == (1, 1)


@pytest.mark.parametrize("sql", TWO.values(), ids=TWO)
def test_of_two_inputs(sql: str) -> None:
    tables = {"a": ROWS, "b": VERSIONS if "SYSTEM_TIME" in sql else ROWS}
    with harness(sql, tables) as h:
        assert dropped(h, "a") == (1, 1)


@pytest.mark.parametrize("time", ["ts", "p"])
def test_keys_that_match_nothing(time: str) -> None:
    sql = TWO["interval join"].replace(".ts", f".{time}")
    plain = Table(dict(ROWS.columns), time="ts", proctime="p")
    with harness(sql, {"a": plain, "b": plain}) as h:
        h.push("+I null 1 10000", "a")
        h.push("+I null 1 10000", "b")
        assert h.metrics("IntervalJoin").num_null_key_dropped == 2


def test_keys_that_match_nothing_now() -> None:
    right = Table({"k": pa.string(), "w": pa.int32()}, mode="I,UA,D", key=("k",))
    sql = "SELECT a.v, b.w FROM a JOIN b FOR SYSTEM_TIME AS OF PROCTIME() ON a.k = b.k"
    with harness(sql, {"a": Table({"k": pa.string(), "v": pa.int32()}), "b": right}) as h:
        h.push("+I x 1", "b")
        h.push("+I null 1", "a")
        h.finish()
        assert sum(v.context.metrics.num_null_key_dropped for v in h._vertices()) == 1
