"""Join: what each kind emits, change by change; late partners, retractions, NULL keys, what is kept."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from tests.harness import Harness, Table, harness
from tests.pretty import rows

COLUMNS = {"k": pa.string(), "v": pa.int32()}
TABLES = {"a": Table(COLUMNS, mode="I,UB,UA,D"), "b": Table(COLUMNS, mode="I,UB,UA,D")}
INSERTS = {"a": Table(COLUMNS), "b": Table(COLUMNS)}


def joined(kind: str, restored: bool, on: str = "a.k = b.k") -> Harness:
    return harness(f"SELECT a.k, a.v, b.v AS w FROM a {kind} JOIN b ON {on}", TABLES, restored=restored)


def test_left_the_null_padded_row_goes_and_returns(restored: bool) -> None:
    with joined("LEFT", restored) as h:
        h.push("+I x 1", "a")
        assert h.take() == rows("+I x 1 null")
        h.push("+I x 7\n+I y 8", "b")
        assert h.take() == rows("-D x 1 null\n+I x 1 7")
        h.push("+I x 9", "b")
        assert h.take() == rows("+I x 1 9")
        h.push("-D x 7", "b")
        assert h.take() == rows("-D x 1 7")
        h.push("-D x 9", "b")
        assert h.take() == rows("-D x 1 9\n+I x 1 null")
        h.push("-D x 1", "a")
        assert h.take() == rows("-D x 1 null")


@pytest.mark.parametrize("on", ["a.k = b.k", "a.k = b.k AND a.v < b.v", "a.v < b.v"])
def test_full_both_sides_stand_alone_until_they_meet(restored: bool, on: str) -> None:
    with joined("FULL", restored, on) as h:
        h.push("+I x 1", "a")
        h.push("+I z 0", "b")
        assert h.take() == rows("+I x 1 null\n+I null null 0")
        h.push("+I x 7", "b")
        assert h.take() == rows("-D x 1 null\n+I x 1 7")
        h.push("-U x 1\n+U x 2", "a")
        assert h.take() == rows("-D x 1 7\n+I x 2 7")
        h.push("-D x 2", "a")
        assert h.take() == rows("-D x 2 7\n+I null null 7")


def test_a_null_key_matches_nothing_unless_it_is_told_to(restored: bool) -> None:
    with joined("LEFT", restored) as h:
        h.push("+I null 1", "a")
        h.push("+I null 2", "b")
        assert h.take() == rows("+I null 1 null")
        h.push("-D null 1", "a")
        assert h.take() == rows("-D null 1 null")
    with joined("LEFT", restored, "a.k IS NOT DISTINCT FROM b.k") as h:
        h.push("+I null 1", "a")
        h.push("+I null 2", "b")
        assert h.take() == rows("+I null 1 null\n-D null 1 null\n+I null 1 2")


def test_what_comes_and_goes_in_a_step_is_not_seen(restored: bool) -> None:
    with joined("LEFT", restored) as h:
        h.push("+I x 1\n-D x 1", "a")
        h.push("+I x 5", "b")
        h.push("-D x 5\n+I x 5", "b")
        assert h.take() == []


def test_equal_rows_count(restored: bool) -> None:
    with joined("LEFT", restored, "a.k = b.k AND a.v < b.v") as h:
        h.push("+I x 1\n+I x 1", "a")
        h.push("+I x 5\n+I x 5", "b")
        assert sorted(h.take()) == ["+I x 1 5"] * 4 + ["+I x 1 null"] * 2 + ["-D x 1 null"] * 2
        h.push("-D x 1", "a")
        assert h.take() == rows("-D x 1 5\n-D x 1 5")
        h.push("-D x 5", "b")
        assert h.take() == rows("-D x 1 5")
        h.push("-D x 5", "b")
        assert h.take() == rows("-D x 1 5\n+I x 1 null")


def test_insertions_joined_are_insertions(restored: bool) -> None:
    sql = "SELECT a.v, b.v AS w FROM a JOIN b ON a.k = b.k"
    with harness(sql, INSERTS, restored=restored) as h:
        h.push("+I x 1\n+I y 2\n+I x 3", "a")
        h.push("+I x 7", "b")
        assert h.take() == rows("+I 1 7\n+I 3 7")
        h.push("+I x 4", "a")
        assert h.take() == rows("+I 4 7")
        assert h.content("Join")[:1] == ["+I x 1 x 7"]


@pytest.mark.parametrize(
    ("condition", "first", "second"),
    [
        ("EXISTS (SELECT 1 FROM b WHERE a.k = b.k)", "+I x 1", "-D x 1"),
        ("NOT EXISTS (SELECT 1 FROM b WHERE a.k = b.k)", "-D x 1", "+I x 1"),
        ("EXISTS (SELECT 1 FROM b WHERE a.k = b.k AND a.v < b.v)", "+I x 1", "-D x 1"),
        ("NOT EXISTS (SELECT 1 FROM b WHERE a.k = b.k AND a.v < b.v)", "-D x 1", "+I x 1"),
    ],
)
def test_semi_and_anti(restored: bool, condition: str, first: str, second: str) -> None:
    """A row comes or goes with the first match and turns with the last, not in between."""
    with harness(f"SELECT k, v FROM a WHERE {condition}", TABLES, restored=restored) as h:
        h.push("+I x 1", "a")
        h.take()
        h.push("+I x 5", "b")
        assert h.take() == [first]
        h.push("+I x 6", "b")
        h.push("-D x 5", "b")
        assert h.take() == []
        h.push("-D x 6", "b")
        assert h.take() == [second]


def test_nothing_is_kept_of_rows_that_are_gone() -> None:
    with joined("FULL", False, "a.k = b.k AND a.v < b.v") as h:
        rng = random.Random(1)
        alive: dict[str, list[str]] = {"a": [], "b": []}
        for _ in range(200):
            side = rng.choice("ab")
            if alive[side] and rng.random() < 0.5:
                h.push(f"-D {alive[side].pop(rng.randrange(len(alive[side])))}", side)
            else:
                alive[side].append(f"{rng.choice('xyz')} {rng.randrange(4)}")
                h.push(f"+I {alive[side][-1]}", side)
        for side, left in alive.items():
            for row in left:
                h.push(f"-D {row}", side)
        sizes = h.state_rows()
        assert {n for n in sizes if not n.endswith((".left", ".right"))} == set()
        assert h.content("Join") == []


def test_transfers_sum_to_zero_after_every_step(restored: bool) -> None:
    """Two sides of a transfer, joined with accounts: no step shows one half."""
    tables = {"t": Table({"src": pa.string(), "dst": pa.string(), "v": pa.int32()})}
    views = {
        "paid": "SELECT src AS k, SUM(v) AS v FROM t GROUP BY src",
        "got": "SELECT dst AS k, SUM(v) AS v FROM t GROUP BY dst",
    }
    sql = (
        "SELECT SUM(balance) AS total FROM (SELECT COALESCE(got.v, 0) - COALESCE(paid.v, 0) AS balance "
        "FROM paid FULL JOIN got ON paid.k = got.k)"
    )
    with harness(sql, tables, views=views, restored=restored) as h:
        rng = random.Random(3)
        for _ in range(30):
            h.push(f"+I {rng.choice('abc')} {rng.choice('abc')} {rng.randrange(9)}")
        shown = h.take()
        assert shown
        assert {line.split()[1] for line in shown} == {"0"}
