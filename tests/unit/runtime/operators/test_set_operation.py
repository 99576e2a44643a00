"""INTERSECT and EXCEPT step by step, straight and restored from a snapshot before each step."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tests.harness import Table, harness
from tests.pretty import rows

INSERTS = Table({"v": pa.int32()})
CHANGES = Table({"v": pa.int32()}, mode="I,UB,UA,D")


@pytest.fixture(params=[False, True], ids=["straight", "restored"])
def restored(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_except_takes_back_what_the_right_side_gets(restored: bool) -> None:
    sql = "SELECT v FROM a EXCEPT SELECT v FROM b"
    with harness(sql, {"a": CHANGES, "b": CHANGES}, restored=restored) as h:
        h.push("+I 1\n+I 1\n+I 2\n+I null", "a")
        assert h.take() == rows("+I 1\n+I 2\n+I null")
        h.push("+I 1\n+I 3\n+I null", "b")
        assert h.take() == rows("-D 1\n-D null")
        h.push("-D 1\n-D null", "b")
        assert h.take() == rows("+I 1\n+I null")
        h.push("-D 1", "a")
        assert h.take() == []
        h.push("-D 1", "a")
        assert h.take() == rows("-D 1")
        h.push("+I 3", "a")
        assert h.take() == []


def test_except_all_counts_copies(restored: bool) -> None:
    sql = "SELECT v FROM a EXCEPT ALL SELECT v FROM b"
    with harness(sql, {"a": CHANGES, "b": CHANGES}, restored=restored) as h:
        h.push("+I 1\n+I 1\n+I 1", "a")
        assert h.take() == rows("+I 1\n+I 1\n+I 1")
        h.push("+I 1\n+I 1", "b")
        assert h.take() == rows("-D 1\n-D 1")
        h.push("+I 1\n+I 1", "b")
        assert h.take() == rows("-D 1")
        h.push("+I 1\n+I 1", "a")
        assert h.take() == rows("+I 1")


@pytest.mark.parametrize(
    ("all_", "expected"), [("", ["+I 1", "+I null"]), ("ALL ", ["+I 1", "+I 1", "+I null"])]
)
def test_intersect_of_insertions_only_grows(restored: bool, all_: str, expected: list[str]) -> None:
    sql = f"SELECT v FROM a INTERSECT {all_}SELECT v FROM b"
    with harness(sql, {"a": INSERTS, "b": INSERTS}, restored=restored) as h:
        assert not h.plan.roots[0].inputs[0].updating
        h.push("+I 1\n+I 2\n+I null", "a")
        assert h.take() == []
        h.push("+I 1\n+I 1\n+I null", "b")
        h.push("+I 1\n+I 3", "a")
        h.finish()
        assert sorted(h.take()) == sorted(rows("\n".join(expected)))


def test_intersect_all_shrinks(restored: bool) -> None:
    sql = "SELECT v FROM a INTERSECT ALL SELECT v FROM b"
    with harness(sql, {"a": CHANGES, "b": CHANGES}, restored=restored) as h:
        h.push("+I 1\n+I 1\n+I 1", "a")
        h.push("+I 1\n+I 1", "b")
        assert h.take() == rows("+I 1\n+I 1")
        h.push("-D 1\n-D 1", "a")
        assert h.take() == rows("-D 1")


def test_state_is_freed_with_the_rows() -> None:
    with harness("SELECT v FROM a EXCEPT SELECT v FROM b", {"a": CHANGES, "b": CHANGES}) as h:
        h.push("+I 1\n+I 2", "a")
        h.push("+I 1", "b")
        h.push("-D 1\n-D 2", "a")
        h.push("-D 1", "b")
        assert h.state_rows() == {}
