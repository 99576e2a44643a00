"""Interval, window and temporal joins step by step: when rows come out, what is freed, what is late."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.harness import Harness, Table, harness
from tests.pretty import rows

COLUMNS = {"k": pa.string(), "v": pa.int32(), "ts": pa.timestamp("ms")}
TABLES = {"a": Table(COLUMNS, "ts"), "b": Table(COLUMNS, "ts")}
NEAR = "a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '5' SECOND"


def interval(kind: str, restored: bool) -> Harness:
    sql = f"SELECT a.k, a.v, b.v AS w FROM a {kind} JOIN b ON {NEAR}"
    return harness(sql, TABLES, restored=restored)


def test_an_unmatched_row_comes_when_no_partner_can(restored: bool) -> None:
    with interval("LEFT", restored) as h:
        h.push("+I x 1 1000\n+I y 2 1000", "a")
        h.push("+I x 7 6000\n+I y 8 6001", "b")
        assert h.take() == rows("+I x 1 7")
        h.watermark(5999)
        assert h.take() == []
        h.watermark(6000)
        assert h.take() == rows("+I y 2 null")
        assert not any(n.startswith("IntervalJoin.left") for n in h.state_rows() if "numbers" not in n)


def test_state_goes_with_the_watermark(restored: bool) -> None:
    with interval("INNER", restored) as h:
        for t in range(0, 100_000, 1000):
            h.push(f"+I x 1 {t}", "a", watermark=t)
            h.push(f"+I x 2 {t}", "b", watermark=t)
        kept = {n: size for n, size in h.state_rows().items() if n.endswith((".left", ".right"))}
        assert all(size <= 16 for size in kept.values())


def test_a_late_row_meets_what_is_left_and_is_counted() -> None:
    with interval("LEFT", False) as h:
        h.push("+I x 1 6000", "a")
        h.watermark(8000)
        h.push("+I x 7 6500", "b")
        assert h.take() == rows("+I x 1 7")
        h.push("+I x 2 1", "a")
        assert h.take() == rows("+I x 2 null")
        assert h.metrics("IntervalJoin").num_late_records_dropped == 2


def test_a_null_time_is_counted() -> None:
    with interval("LEFT", False) as h:
        h.push("+I x 1 null", "a")
        h.finish()
        assert h.take() == []
        assert h.metrics("IntervalJoin").num_null_time_dropped == 1


def test_by_processing_time_the_clock_decides() -> None:
    plain = {"k": pa.string(), "v": pa.int32()}
    tables = {n: Table(plain, proctime="pt") for n in "ab"}
    sql = (
        "SELECT a.v, b.v AS w FROM a LEFT JOIN b ON a.k = b.k "
        "AND b.pt BETWEEN a.pt AND a.pt + INTERVAL '5' SECOND"
    )
    with harness(sql, tables, now_ms=1_000_000) as h:
        h.push("+I x 1\n+I y 2", "a")
        h.advance_time(5000)
        h.push("+I x 7", "b")
        assert h.take() == rows("+I 1 7")
        h.advance_time(1)
        assert h.take() == rows("+I 2 null")
        h.push("+I y 8", "b")
        assert h.take() == []


WINDOWS = "TABLE(TUMBLE(TABLE {0}, DESCRIPTOR(ts), INTERVAL '10' SECOND)) AS {0}"


def test_a_window_join_fires_when_both_watermarks_pass_its_end(restored: bool) -> None:
    sql = (
        f"SELECT a.v, b.v AS w FROM {WINDOWS.format('a')} FULL JOIN {WINDOWS.format('b')} "
        "ON a.k = b.k AND a.window_start = b.window_start AND a.window_end = b.window_end"
    )
    with harness(sql, TABLES, restored=restored) as h:
        h.push("+I x 1 1000\n+I y 2 2000", "a")
        h.push("+I x 7 9000\n+I z 8 3000\n+I x 9 10000", "b")
        h.watermark(20_000, "a")
        assert h.take() == []
        h.watermark(9_999, "b")
        assert sorted(h.take()) == rows("+I 1 7\n+I 2 null\n+I null 8")
        h.push("+I x 5 9999", "a")
        h.watermark(20_000, "b")
        assert h.take() == rows("+I null 9")
        assert restored or h.metrics("WindowJoin").num_late_records_dropped == 1
        assert h.state_rows() == {}


RATES = {
    "o": Table(COLUMNS, "ts"),
    "r": Table({"k": pa.string(), "rate": pa.int32(), "since": pa.timestamp("ms")}, "since", key=("k",)),
}
AS_OF = "SELECT o.v, r.rate FROM o LEFT JOIN r FOR SYSTEM_TIME AS OF o.ts ON o.k = r.k"


def test_versions_wait_for_both_watermarks(restored: bool) -> None:
    with harness(AS_OF, RATES, restored=restored) as h:
        h.push("+I x 10 0\n+I x 11 5000", "r")
        h.push("+I x 1 4999\n+I x 2 5000\n+I y 3 1", "o")
        h.watermark(9000, "o")
        assert h.take() == []
        h.watermark(4999, "r")
        assert h.take() == rows("+I 1 10\n+I 3 null")
        h.push("+I x 12 6000", "r", watermark=9000)
        assert h.take() == rows("+I 2 11")
        h.push("+I x 4 9000\n+I x 5 9001", "o", watermark=10_000)
        assert h.metrics("TemporalJoin").num_late_records_dropped == 1
        h.finish()
        assert h.take() == rows("+I 5 12")


def test_old_versions_are_freed_but_for_the_newest(restored: bool) -> None:
    with harness(AS_OF, RATES, restored=restored) as h:
        for t in range(100):
            h.push(f"+I x {t} {t}\n+I y {t} {t}", "r")
        h.watermark(1000)
        kept = h.state_rows()
        assert kept["TemporalJoin.keys"] == 2
        assert "TemporalJoin.versions" not in kept


@pytest.mark.parametrize("kind", ["LEFT JOIN", "JOIN"])
def test_present_rows_of_a_streamed_table(restored: bool, kind: str) -> None:
    """Right changes of a step come first; later ones change no result."""
    tables = {
        "e": Table({"k": pa.string(), "v": pa.int32()}, proctime="pt"),
        "s": Table({"k": pa.string(), "n": pa.int32()}, mode="I,UA,D", key=("k",)),
    }
    sql = f"SELECT e.k, e.v, s.n FROM e {kind} s FOR SYSTEM_TIME AS OF e.pt ON s.k = e.k"
    with harness(sql, tables, restored=restored) as h:
        h.push("+I x 1", "e")
        assert h.take() == (rows("+I x 1 null") if kind == "LEFT JOIN" else [])
        h.push("+I x 10", "s")
        h.push("+I x 2", "e")
        assert h.take() == rows("+I x 2 10")
        h.push("+U x 11\n+I y 20", "s")
        assert h.take() == []
        h.push("+I x 3\n+I y 4", "e")
        assert h.take() == rows("+I x 3 11\n+I y 4 20")
        h.push("-D x 11", "s")
        h.push("+I x 5", "e")
        assert h.take() == (rows("+I x 5 null") if kind == "LEFT JOIN" else [])


def test_present_rows_of_a_view_that_aggregates(restored: bool) -> None:
    tables = {
        "e": Table({"k": pa.string(), "v": pa.int32()}, proctime="pt"),
        "f": Table({"k": pa.string(), "n": pa.int32()}),
    }
    views = {"s": "SELECT k, SUM(n) AS n FROM f GROUP BY k"}
    sql = "SELECT e.v, s.n FROM e LEFT JOIN s FOR SYSTEM_TIME AS OF e.pt ON s.k = e.k"
    with harness(sql, tables, views=views, restored=restored) as h:
        h.push("+I x 1\n+I x 2", "f")
        h.push("+I x 1", "e")
        h.push("+I x 3", "f")
        h.push("+I x 2", "e")
        assert h.take() == rows("+I 1 3\n+I 2 6")
