"""Special operators of ranks and OVER aggregates against PartitionRecompute, change by change or by what they end with."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from streamsql.planner.convert import over as convert_over
from streamsql.runtime import build_ranks
from streamsql.runtime.operators.partition_recompute import PartitionRecompute
from streamsql.runtime.operators.rank_retract import RetractTopN
from tests.harness import harness

from .test_twins import CHANGELOG, INSERTS, steps, twins

RANKS = [
    ("ROW_NUMBER", "PARTITION BY k ORDER BY v DESC, x", "rn <= 2", "k, v, x, rn"),
    ("ROW_NUMBER", "PARTITION BY k, s ORDER BY d, ts", "rn <= 3", "k, s, d"),
    ("ROW_NUMBER", "ORDER BY v, x", "rn BETWEEN 2 AND 4", "k, v, x, rn"),
    ("ROW_NUMBER", "PARTITION BY s ORDER BY x DESC NULLS FIRST", "rn = 2", "s, x, v"),
    ("RANK", "PARTITION BY k ORDER BY v", "rn <= 2", "k, v, rn"),
    ("RANK", "ORDER BY s DESC", "rn <= 4", "k, s"),
    ("DENSE_RANK", "PARTITION BY k ORDER BY v DESC", "rn BETWEEN 2 AND 3", "k, v, rn"),
]


@pytest.mark.parametrize(("seed", "case"), list(enumerate(RANKS)))
def test_top_n(monkeypatch: pytest.MonkeyPatch, seed: int, case: tuple[str, str, str, str]) -> None:
    function, order, condition, shown = case
    sql = f"SELECT {shown} FROM (SELECT *, {function}() OVER ({order}) AS rn FROM t) WHERE {condition}"
    with twins(monkeypatch, sql, INSERTS, build_ranks, "is_append_only", False) as (special, generic):
        assert type(special.operator("Rank")) is not type(generic.operator("Rank"))
        for text in steps(seed, updating=False):
            for h in (special, generic):
                h.push(text)
            assert sorted(special.take()) == sorted(generic.take())
            assert special.content("Rank") == generic.content("Rank")


RETRACTED = [
    ("PARTITION BY k ORDER BY v DESC, x", "rn <= 2", "k, v, x, rn"),
    ("PARTITION BY k ORDER BY v, s", "rn <= 1", "k, v, s"),
    ("ORDER BY v, x", "rn BETWEEN 2 AND 3", "k, v, x, rn"),
    ("PARTITION BY s ORDER BY d DESC", "rn = 2", "s, d"),
]


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize(("seed", "case"), list(enumerate(RETRACTED)))
def test_top_n_of_a_changelog(
    monkeypatch: pytest.MonkeyPatch, seed: int, case: tuple[str, str, str], restored: bool
) -> None:
    order, condition, shown = case
    sql = f"SELECT {shown} FROM (SELECT k, v, x, d, s, ROW_NUMBER() OVER ({order}, k, v, x, d, s, ts) AS rn FROM t) WHERE {condition}"
    for more in ("HEAD_ROWS_MORE", "HEAD_ROWS_MORE_OF_ALL"):
        monkeypatch.setattr(build_ranks, more, 1)  # heads run short all the time
    changes = [text for n in range(2 if restored else 4) for text in steps(10 * seed + n, updating=True)]
    found = []
    for special in (True, False):
        monkeypatch.setattr(build_ranks, "has_head", lambda _, answer=special: answer)
        with harness(sql, CHANGELOG, restored=restored) as h:
            assert isinstance(h.operator("Rank"), RetractTopN if special else PartitionRecompute)
            taken = []
            for text in changes:
                h.push(text)
                taken.append((sorted(h.take()), h.content("Rank")))
            found.append(taken)
    assert found[0] == found[1]


def rising(seed: int) -> Iterator[tuple[str, int]]:
    """Rows with times after the watermark, and how far it then goes."""
    rng = random.Random(seed)
    watermark = 0
    for _ in range(14):
        lines = []
        for _ in range(rng.randrange(1, 7)):
            k, v, s = rng.choice("ab"), rng.choice(("1", "2", "-7", "null")), rng.choice(("p", "q", "null"))
            lines.append(f"+I {k} {v} 0.5 1.25 {s} {watermark + rng.randrange(1, 9)}")
        watermark += rng.randrange(0, 9)
        yield "\n".join(lines), watermark


OVERS = [
    "SUM(v) OVER (PARTITION BY k ORDER BY ts) AS a, COUNT(*) OVER (PARTITION BY k ORDER BY ts) AS b, MAX(s) OVER (PARTITION BY k ORDER BY ts) AS c",
    "COUNT(*) OVER (ORDER BY ts RANGE BETWEEN INTERVAL '0.004' SECOND PRECEDING AND CURRENT ROW) AS a, MIN(v) OVER (ORDER BY ts) AS b",
    "RANK() OVER (PARTITION BY k ORDER BY ts) AS a, DENSE_RANK() OVER (PARTITION BY s ORDER BY ts) AS b",
    "SUM(v) FILTER (WHERE s = 'p') OVER (PARTITION BY k ORDER BY ts) AS a, AVG(v) OVER (PARTITION BY k ORDER BY ts) AS b, FIRST_VALUE(v) OVER (PARTITION BY k ORDER BY ts, s, v) AS c",
]


@pytest.mark.parametrize(("seed", "calls"), list(enumerate(OVERS)))
def test_over_by_time(monkeypatch: pytest.MonkeyPatch, seed: int, calls: str) -> None:
    sql = f"SELECT k, v, s, ts, {calls} FROM t"
    with harness(sql, INSERTS) as special:
        monkeypatch.setattr(convert_over, "is_by_time", lambda *_: False)
        with harness(sql, INSERTS) as generic:
            for text, watermark in rising(seed):
                for h in (special, generic):
                    h.push(text, watermark=watermark)
            for h in (special, generic):
                h.finish()
            left: Counter[str] = Counter()
            for line in generic.take():
                left[line[3:]] += 1 if line[1] in "IU" and line[0] == "+" else -1
            assert Counter(line[3:] for line in special.take()) == +left
