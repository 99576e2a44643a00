"""The tables most cases read: small, with NULLs everywhere, rows at one instant, gaps, and disorder within 5 s."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa

from .tables import MILLIS, RETRACT, UPSERT, Input, table

_D = Decimal
_COLUMNS = {
    "k": pa.string(),
    "v": pa.int32(),
    "big": pa.int64(),
    "x": pa.float64(),
    "d": pa.decimal128(10, 2),
    "s": pa.string(),
    "b": pa.bool_(),
    "ts": MILLIS,
}

EVENTS = Input(
    "t",
    table(
        _COLUMNS,
        ("a", 1, 10, 0.5, _D("1.25"), "one", True, 1),
        ("b", 2, 20, 1.5, _D("-2.50"), "two", False, 2.5),
        (None, 3, None, None, None, None, None, 0.2),
        ("a", None, 40, -0.25, _D("0.01"), "x,y", True, 3),
        ("b", -5, 7, 1e6, _D("99.99"), "", None, 3),
        ("c", 7, 7, 0.1, _D("0.10"), "ß→", False, 4.999),
        ("a", 1, 10, 0.5, _D("1.25"), "one", True, 5),
        ("a", 9, -3, 2.25, None, "two", False, 9.999),
        ("b", 2, 20, None, _D("3.33"), None, True, 10),
        ("c", None, None, 3.75, _D("3.34"), "three", None, 10.001),
        (None, 4, 44, 4.5, _D("4.44"), "four", True, 12),
        ("a", 100, 1_000_000_000_000, 1e-3, _D("12345678.90"), "A", True, 11),
        ("c", 7, 7, 0.1, _D("0.10"), "ß→", False, 8),
        ("b", 6, 60, -6.5, _D("-6.66"), "six", False, 13),
        ("a", 0, 0, 0.0, _D("0.00"), "zero", None, 17),
        ("d", 8, 80, 8.5, _D("8.88"), "eight", True, 33),
        ("d", 8, 81, 8.25, _D("8.80"), "eight", False, 34),
        ("a", -1, -10, -0.5, _D("-1.25"), "minus", True, 35),
        ("b", 2, 20, 1.5, _D("2.50"), "two", None, 31),
        ("a", 5, 50, 5.5, _D("5.55"), "five", True, 59.999),
        ("b", 5, 51, 5.25, _D("5.05"), "five", False, 60),
        (None, None, None, None, None, None, None, 61),
        ("e", 11, 110, 11.5, _D("11.11"), "eleven", True, 58),
    ),
    "ts",
    5,
)

EMPTY = Input("t", table(_COLUMNS), "ts", 5)

OTHER = Input(
    "u",
    table(
        {"k": pa.string(), "v": pa.int32(), "ts": MILLIS},
        ("a", 10, 2),
        ("z", 20, 1),
        (None, None, 14),
        ("b", 2, 12),
        ("a", 10, 30),
        ("z", 21, 66),
    ),
    "ts",
    4,
)

# Accounts as a retracting changelog: rows are inserted, replaced, deleted and inserted again; equal rows occur twice.
_CHANGES = (
    (+1, "a", 1, 1.5, "p"),
    (+1, "b", 5, 2.5, "q"),
    (+1, "a", 3, None, "q"),
    (-1, "a", 1, 1.5, "p"),
    (+1, "a", 2, 1.5, "p"),
    (+1, "c", 9, 0.5, None),
    (+1, "c", 9, 0.5, None),
    (-1, "b", 5, 2.5, "q"),
    (-1, "c", 9, 0.5, None),
    (+1, None, None, None, None),
    (+1, None, 4, 4.0, "r"),
    (+1, "d", 7, 7.0, "r"),
    (-1, "d", 7, 7.0, "r"),
    (+1, "d", 8, 7.0, "s"),
    (-1, None, None, None, None),
    (+1, "b", 6, 2.5, "p"),
    (-1, "a", 3, None, "q"),
    (+1, "e", -1, -1.0, "s"),
    (-1, "e", -1, -1.0, "s"),
)

CHANGES = Input(
    "c",
    table(
        {"k": pa.string(), "v": pa.int32(), "x": pa.float64(), "g": pa.string()},
        *(row[1:] for row in _CHANGES),
    ),
    weights=tuple(row[0] for row in _CHANGES),
    mode=RETRACT,
)

_UPSERTS = (
    (+1, 1, "a", 10),
    (+1, 2, "b", 20),
    (+1, 1, "a", 11),
    (+1, 3, "a", None),
    (+1, 1, "b", 11),
    (-1, 2, "b", 20),
    (+1, 4, None, 40),
    (-1, 9, "x", 90),
    (+1, 2, "a", 22),
    (+1, 3, "a", None),
    (-1, 4, None, 40),
    (+1, 5, "c", 5),
    (+1, 5, "c", 5),
)

UPSERTS = Input(
    "p",
    table({"id": pa.int32(), "k": pa.string(), "v": pa.int32()}, *(row[1:] for row in _UPSERTS)),
    weights=tuple(row[0] for row in _UPSERTS),
    mode=UPSERT,
    key=("id",),
)
