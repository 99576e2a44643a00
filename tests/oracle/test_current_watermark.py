"""CURRENT_WATERMARK: the watermark of the operator that reads the row, as it was before the step."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from streamsql.errors import UnsupportedError, ValidationError
from streamsql.testing.compare import difference, rows_of
from tests.harness import Table, harness
from tests.pretty import rows

from .data import CHANGES, EVENTS
from .run import batch, final, session
from .tables import Input

LTZ = {"t": Table({"k": pa.string(), "v": pa.int32(), "ts": pa.timestamp("ms", "UTC")}, "ts")}


def test_it_is_that_of_earlier_steps() -> None:
    with harness("SELECT k, CURRENT_WATERMARK(ts) AS w FROM t") as h:
        h.push("+I a 1 1000", watermark=500)
        h.push("+I b 1 2000", watermark=700)
        h.watermark(900)
        h.push("+I c 1 300")
        assert h.take() == rows("+I a null\n+I b 500\n+I c 900")


def test_late_rows_can_be_left_out(restored: bool) -> None:
    sql = "SELECT k FROM t WHERE CURRENT_WATERMARK(ts) IS NULL OR ts > CURRENT_WATERMARK(ts)"
    with harness(sql, restored=restored) as h:
        h.push("+I a 1 1000\n+I b 1 0", watermark=1000)
        h.push("+I c 1 1000\n+I d 1 1001\n+I e 1 null")
        assert h.take() == rows("+I a\n+I b\n+I d")


@pytest.fixture(params=[False, True], ids=["straight", "restored"])
def restored(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_points_in_time(zone: str) -> None:
    zoned = Input(
        "t",
        EVENTS.rows.set_column(
            EVENTS.rows.schema.get_field_index("ts"), "ts", EVENTS.rows["ts"].cast(pa.timestamp("ms", "UTC"))
        ),
        "ts",
        1,
    )
    with session([zoned], setup=[f"SET 'table.local-time-zone' = '{zone}'"], step=1) as env:
        found = rows_of(env.execute_sql("SELECT ts, CURRENT_WATERMARK(ts) AS w FROM t").to_arrow())
    latest: dt.datetime | None = None
    for ts, mark in found:
        assert mark == (None if latest is None else latest - dt.timedelta(seconds=1))
        if ts is not None:
            latest = ts if latest is None else max(latest, ts)


def test_each_reader_sees_its_own() -> None:
    """Below the window it is the table's, above it what the window lets through: the same here, one step later."""
    sql = """
        SELECT window_end, c, w, CURRENT_WATERMARK(wt) AS after FROM (
            SELECT window_end, window_time AS wt, COUNT(*) AS c, MIN(w) AS w
            FROM TABLE(TUMBLE(TABLE (SELECT ts, CURRENT_WATERMARK(ts) AS w FROM t), DESCRIPTOR(ts), INTERVAL '10' SECOND))
            GROUP BY window_start, window_end, window_time)
    """
    with harness(sql) as h:
        h.push("+I a 1 1000", watermark=500)
        h.push("+I b 1 2000", watermark=5000)
        h.push("+I c 1 11000", watermark=9999)
        assert h.take() == rows("+I 10000 2 500 5000")


def test_aggregates_read_it_below_them() -> None:
    sql = "SELECT COUNT(*) AS n FROM t WHERE ts <= CURRENT_WATERMARK(ts)"
    with harness(
        sql.replace("COUNT(*)", "SUM(CASE WHEN ts <= CURRENT_WATERMARK(ts) THEN 1 ELSE 0 END)").split(
            " WHERE"
        )[0]
    ) as h:
        h.push("+I a 1 1000", watermark=1000)
        h.push("+I a 1 500\n+I a 1 1500")
        assert h.take()[-1] == "+U 1"
    expected = final(sql, [EVENTS], step=1)
    assert difference(expected, [(count_late(EVENTS),)]) is None


def count_late(events: Input) -> int:
    latest, late = None, 0
    for ts in events.rows["ts"].to_pylist():
        if ts is None:
            continue
        if latest is not None and ts <= latest - dt.timedelta(seconds=events.delay_s):
            late += 1
        latest = ts if latest is None else max(latest, ts)
    return late


def test_in_batch_mode_no_row_is_late() -> None:
    sql = "SELECT k, v, CURRENT_WATERMARK(ts) AS w FROM t WHERE CURRENT_WATERMARK(ts) IS NULL OR ts > CURRENT_WATERMARK(ts)"
    found = batch(sql, [EVENTS])
    assert len(found) == EVENTS.rows.num_rows
    assert {row[2] for row in found} == {None}


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT CURRENT_WATERMARK(CAST(ts AS TIMESTAMP(2))) FROM t", "needs an event-time attribute"),
        ("SELECT CURRENT_WATERMARK(TIMESTAMP '2024-01-01 00:00:00') FROM t", "needs an event-time attribute"),
        ("SELECT CURRENT_WATERMARK(window_start) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND))", "window_start is none"),
        ("SELECT * FROM t JOIN c ON t.k = c.k AND t.ts > CURRENT_WATERMARK(t.ts)", "gives another answer each time"),
        ("SELECT k, CURRENT_WATERMARK(wt) FROM (SELECT k, window_time AS wt FROM TABLE(TUMBLE(TABLE u, DESCRIPTOR(ts), INTERVAL '1' SECOND)))", "of rows that are updated"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["streaming", "batch"])
def test_refusals(sql: str, message: str, mode: str) -> None:
    if mode == "batch" and "event-time" not in message and "is none" not in message:
        return
    changing = Input("u", EVENTS.rows, "ts", 1, weights=(1,) * EVENTS.rows.num_rows, mode="I,UB,UA,D")
    with (
        session([EVENTS, CHANGES, changing], batch=mode == "batch") as env,
        pytest.raises((ValidationError, UnsupportedError), match=message),
    ):
        env.execute_sql(sql)
