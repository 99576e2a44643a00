"""Calc: what a filter and a projection make of updates."""

from __future__ import annotations

import pyarrow as pa

from tests.harness import Table, harness
from tests.pretty import rows

CHANGES = {"t": Table({"k": pa.string(), "v": pa.int32(), "x": pa.float64()}, mode="I,UB,UA,D")}
UPSERTS = {"t": Table({"k": pa.string(), "v": pa.int32()}, mode="I,UA,D", key=("k",))}


def test_a_row_that_is_not_true_is_dropped() -> None:
    with harness("SELECT k, v + 1 AS w FROM t WHERE v > 1") as h:
        h.push("+I a 1 0\n+I b null 0\n+I c 2 0")
        assert h.take() == ["+I c 3"]


def test_updates_pass_with_their_weight() -> None:
    with harness("SELECT k FROM t WHERE v > 1", CHANGES) as h:
        h.push("+I a 5 0\n-U b 5 0\n+U b 1 0\n-U c 1 0\n+U c 5 0")
        assert h.take() == ["+I a", "-D b", "+I c"]


def test_an_update_of_columns_left_out_is_no_update() -> None:
    with harness("SELECT k, x FROM t", CHANGES) as h:
        h.push("+I a 1 null\n+I b 2 1.5")
        h.push("""
            -U a 1 null
            +U a 2 null
            -U b 2 1.5
            +U b 2 2.5
            -D a 2 null
            +I c 2 null
        """)
        assert h.take() == rows("""
            +I a null
            +I b 1.5
            -D b 1.5
            +I b 2.5
            -D a null
            +I c null
        """)


def test_a_deletion_before_an_upsert_is_not_dropped() -> None:
    """It deletes what is there, whatever its own columns say."""
    with harness("SELECT k, v FROM t", UPSERTS) as h:
        h.push("+I a 1")
        h.push("-D a 2\n+I a 2")
        assert h.take() == ["+I a 1", "-U a 1", "+U a 2"]
