"""ChangelogNormalize: upserts by key become full retractions; against a dict."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from tests.harness import Harness, Table, harness
from tests.pretty import rows

KINDS = ("+U", "+I", "-D")
UPSERTS = {"t": Table({"id": pa.int32(), "k": pa.string(), "x": pa.float64()}, mode="I,UA,D", key=("id",))}


def normalized(restored: bool) -> Harness:
    return harness("SELECT id, k, x FROM t", UPSERTS, restored=restored)


def test_a_key_is_new_then_changed_then_equal_then_gone(restored: bool) -> None:
    with normalized(restored) as h:
        h.push("+I 1 a 1.5")
        h.push("+U 1 b 1.5")
        h.push("+U 1 b 1.5")
        h.push("+I 2 null null")
        h.push("+U 2 null null")
        h.push("-D 1 null null")
        assert h.take() == rows("""
            +I 1 a 1.5
            -U 1 a 1.5
            +U 1 b 1.5
            +I 2 null null
            -D 1 b 1.5
        """)
        assert h.content("ChangelogNormalize") == ["+I 2 null null"]


def test_deleting_what_is_not_there(restored: bool) -> None:
    with normalized(restored) as h:
        h.push("-D 1 a 1.5")
        assert h.take() == []
        assert h.state_rows() == {}


def test_the_last_change_of_a_step_counts(restored: bool) -> None:
    with normalized(restored) as h:
        h.push("""
            +I 1 a 1
            +U 1 b 2
            +I 2 a 1
            -D 2 a 1
            +I 3 a 1
            -D 3 a 1
            +I 3 c 3
        """)
        assert h.take() == rows("""
            +I 1 b 2
            +I 3 c 3
        """)
        h.push("""
            -D 1 b 2
            +I 1 b 2
            +U 3 x 9
            -D 3 x 9
        """)
        assert h.take() == ["-D 3 c 3"]


def test_a_slot_of_a_deleted_key_starts_empty(restored: bool) -> None:
    with normalized(restored) as h:
        h.push("+I 1 a 1")
        h.push("-D 1 a 1")
        h.push("+I 2 null null")
        assert h.take() == rows("""
            +I 1 a 1
            -D 1 a 1
            +I 2 null null
        """)


@pytest.mark.parametrize("seed", range(2))
def test_like_a_dict(restored: bool, seed: int) -> None:
    rng = random.Random(seed)
    held: dict[int, str] = {}
    with normalized(restored) as h:
        for _ in range(10):
            log = [
                (
                    rng.choice(("+U", "+I", "-D")),
                    rng.randrange(5),
                    rng.choice(("a", "b", "null")),
                    rng.choice(("1", "2.5")),
                )
                for _ in range(rng.randrange(1, 6))
            ]
            before = dict(held)
            for kind, key, *values in log:
                if kind == "-D":
                    held.pop(key, None)
                else:
                    held[key] = " ".join(values)
            h.push("\n".join(" ".join(map(str, change)) for change in log))
            expected = [f"{key} {before[key]}" for key in before if before[key] != held.get(key)]
            expected += [f"{key} {held[key]}" for key in held if held[key] != before.get(key)]
            assert sorted(line[3:] for line in h.take()) == sorted(expected)
            assert h.content("ChangelogNormalize") == sorted(f"+I {k} {v}" for k, v in held.items())
