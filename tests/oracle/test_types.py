"""Values at the edges of their types, as arguments and as keys: NaN, -0.0, empty collections, the ends of a range."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from streamsql.errors import JobError

from .run import run_every_way, stream
from .tables import MILLIS, Input, table

NAN, INF, BIG = float("nan"), float("inf"), 2**63 - 1
_COLUMNS = {
    "id": pa.int32(),
    "f": pa.float64(),
    "g": pa.float32(),
    "bin": pa.binary(),
    "da": pa.date32(),
    "ti": pa.time64("us"),
    "r": pa.struct([("x", pa.int32()), ("y", pa.string())]),
    "a": pa.list_(pa.int32()),
    "m": pa.map_(pa.string(), pa.int32()),
    "t8": pa.int8(),
    "t16": pa.int16(),
    "big": pa.int64(),
    "d38": pa.decimal128(38, 10),
    "d5": pa.decimal128(5, 2),
    "ts": MILLIS,
}
_D, _DAY, _NOON = Decimal, dt.date(2024, 1, 1), dt.time(12, 0, 0)

EDGES = Input(
    "t",
    table(
        _COLUMNS,
        (1, NAN, 1.5, b"a", _DAY, _NOON, {"x": 1, "y": "p"}, [1, 2], [("k", 1)], 100, 30000, BIG, _D("1.5"), _D("999.99"), 1),
        (2, 0.0, -0.0, b"", dt.date(1969, 1, 1), dt.time(0, 0), {"x": 1, "y": None}, [], [], 100, 30000, BIG, _D("-1.5"), _D("999.99"), 2),
        (3, -0.0, 0.0, None, None, None, None, None, None, None, None, None, None, None, 3),
        (4, NAN, NAN, b"a", _DAY, _NOON, {"x": 1, "y": "p"}, [1, 2], [("k", 1)], 100, 30000, 1, _D("1.5"), _D("0.01"), 4),
        (5, INF, 2.5, b"\xff\x00", dt.date(2024, 1, 2), dt.time(23, 59, 59, 999000), {"x": None, "y": None}, [None], [("k", None)], -128, -32768, -5, _D("0.0000000001"), _D("-0.01"), 11),
        (6, 0.0, 1.5, b"", dt.date(1969, 1, 1), dt.time(0, 0), {"x": 1, "y": None}, [], [], 1, 1, -BIG - 1, _D(7), _D(7), 12),
        (7, -INF, None, b"a", None, None, None, [1, 2], None, -100, 30000, -BIG, None, None, 13),
    ),
    "ts",
    3,
)  # fmt: skip

TUMBLE = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end"
SESSION = "TABLE(SESSION(TABLE t PARTITION BY {0}, DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY window_start, window_end, {0}"

QUERIES = [
    *(f"SELECT {key}, COUNT(*) AS c, SUM(id) AS s FROM t GROUP BY {key}" for key in ("f", "g", "bin", "da", "ti", "r", "a", "m", "d38")),
    *(f"SELECT {key}, COUNT(*) AS c FROM {SESSION.format(key)}" for key in ("f", "r")),
    "SELECT DISTINCT r, a FROM t",
    "SELECT COUNT(DISTINCT f) AS a, COUNT(DISTINCT r) AS b, COUNT(DISTINCT da) AS c, COUNT(DISTINCT bin) AS e, COUNT(DISTINCT a) AS f FROM t",
    "SELECT MIN(f) AS a, MAX(f) AS b, MIN(g) AS c, MAX(g) AS e FROM t WHERE id <> 3",
    "SELECT MIN(bin) AS a, MAX(da) AS b, MIN(ti) AS c, MAX(ti) AS e, MAX(d38) AS f, MIN(t8) AS g FROM t",
    "SELECT SUM(t8) AS a, SUM(t16) AS b, SUM(big) AS c, AVG(t8) AS e, AVG(t16) AS f, AVG(big) AS g FROM t",
    "SELECT f, SUM(t8) AS a, SUM(big) AS b, AVG(big) AS c FROM t GROUP BY f",
    "SELECT SUM(DISTINCT big) AS a, AVG(DISTINCT big) AS b, SUM(DISTINCT t8) AS c FROM t",
    "SELECT SUM(d38) AS a, AVG(d38) AS b, SUM(d5) AS c, AVG(d5) AS e FROM t",
    "SELECT FIRST_VALUE(r) AS a, LAST_VALUE(a) AS b, LAST_VALUE(m) AS c, FIRST_VALUE(bin) AS e, LAST_VALUE(da) AS f, LAST_VALUE(ti) AS g FROM t",
    "SELECT MAX(c) AS m FROM (SELECT r, COUNT(*) AS c FROM t GROUP BY r)",
    "SELECT k, COUNT(*) AS n FROM (SELECT a AS k, COUNT(*) AS c FROM t GROUP BY a) GROUP BY k",
    "SELECT SUM(s) AS n, AVG(s) AS a, MIN(s) AS i FROM (SELECT id, SUM(big) AS s, SUM(t8) AS u FROM t GROUP BY id)",
    "SELECT COLLECT(r) AS c, ARRAY_AGG(da) AS a, COLLECT(f) AS f FROM t",
    f"SELECT window_start, r, COUNT(*) AS c, SUM(big) AS s, MAX(f) AS m, MIN(g) AS i, AVG(t8) AS a, AVG(big) AS b FROM {TUMBLE}, r",
    f"SELECT window_start, SUM(t8) AS a, SUM(t16) AS b, SUM(big) AS c, AVG(d5) AS e, SUM(d38) AS s, MIN(ti) AS i FROM {TUMBLE}",
    f"SELECT window_start, SUM(t8) AS a, COUNT(DISTINCT f) AS b, SUM(DISTINCT d5) AS c FROM {TUMBLE}",
    "SELECT x, COUNT(*) AS c FROM (SELECT ROW(t8, da) AS x FROM t) GROUP BY x",
    "SELECT ROW(id, f) AS rw, ARRAY[id] AS ar, MAP['a', id] AS mp, r, m FROM t",
]  # fmt: skip


@pytest.mark.parametrize("sql", QUERIES)
def test_like_batch_mode(sql: str) -> None:
    run_every_way(sql, EDGES, steps=(1, 100), shuffles=())


def test_sums_of_bigint_wrap_around() -> None:
    """As Java's do."""
    rows = Input("t", table({"v": pa.int64()}, (BIG,), (1,), (5,)))
    sql = "SELECT SUM(v) AS s, AVG(v) AS a FROM t"
    expected = -BIG - 1 + 5
    assert stream(sql, [rows]) == stream(sql, [rows], step=1) == [(expected, -(-expected // 3))]


def test_a_decimal_sum_that_does_not_fit_fails_the_job_with_a_reason() -> None:
    huge = Decimal("9" * 38)
    rows = Input("t", table({"v": pa.decimal128(38, 0)}, (huge,), (huge,)))
    with pytest.raises(JobError, match="exceeds DECIMAL"):
        stream("SELECT SUM(v) AS s FROM t", [rows], step=1)
