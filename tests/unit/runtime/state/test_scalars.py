"""Scalars: named values that survive a snapshot."""

from __future__ import annotations

from typing import Any, cast

import pytest

from streamsql.runtime.state.scalars import Scalars


def test_values_survive_a_snapshot_and_do_not_change_in_it() -> None:
    values = Scalars()
    values.set("watermark", -(2**63))
    values.set("name", "x")
    values.set("nothing", None)
    values.set("flag", True)
    assert values.add("counter") == 1 and values.add("counter", 5) == 6
    tables = values.snapshot()
    values.set("name", 7)
    values.remove("watermark")
    assert values.get("watermark") is None and values.get("name") == 7
    copy = Scalars()
    copy.set("stale", 1)
    copy.restore(tables)
    assert {n: copy.get(n) for n in copy.names()} == {
        "watermark": -(2**63),
        "name": "x",
        "nothing": None,
        "flag": 1,
        "counter": 6,
    }
    assert copy.row_count == 5 and copy.nbytes > 0


def test_defaults() -> None:
    values = Scalars()
    values.set("none", None)
    assert values.get("none", 3) == values.get("absent", 3) == 3
    assert values.get_int("absent") == 0
    assert values.read().num_rows == 1


def test_only_small_plain_values() -> None:
    values = Scalars()
    with pytest.raises(AssertionError, match="float"):
        values.set("ratio", cast(Any, 0.5))
    values.set("text", "x")
    with pytest.raises(AssertionError, match="not an int"):
        values.get_int("text")
