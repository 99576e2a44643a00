"""Two ways to the same answer: incremental against recomputed groups, partial aggregates against kept rows."""

# ruff: noqa: E501  (one query a line)

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
import pytest

from streamsql.runtime import build_groups, build_windows
from streamsql.runtime.operators.slot_merge import SlotMerge
from tests.harness import Harness, Table, harness

COLUMNS = {
    "k": pa.string(),
    "v": pa.int32(),
    "x": pa.float64(),
    "d": pa.decimal128(8, 2),
    "s": pa.string(),
    "ts": pa.timestamp("ms"),
}
INSERTS = {"t": Table(COLUMNS, "ts")}
CHANGELOG = {"t": Table(COLUMNS, "ts", "I,UB,UA,D")}

LINEAR = "COUNT(*) AS a, COUNT(v) AS b, SUM(v) AS c, AVG(v) AS e, SUM(x) AS f, SUM(d) AS g, AVG(d) AS h, SUM(v) FILTER (WHERE s = 'p') AS i"
INSERT_ONLY = "MIN(v) AS j, MAX(s) AS l, MAX(d) AS m, FIRST_VALUE(v) AS n, LAST_VALUE(x) AS o, MIN(ts) AS p"
SUMS = "COUNT(*) AS a, COUNT(v) AS b, SUM(v) AS c, AVG(v) AS e, SUM(x) AS f, AVG(x) AS h, COUNT(*) FILTER (WHERE v > 0) AS i, SUM(v * 4611686018427387904) FILTER (WHERE s <> '') AS j"
DISTINCT_SUMS = "COUNT(DISTINCT v) AS q, SUM(DISTINCT v) FILTER (WHERE s = 'p') AS r"
DISTINCT = "COUNT(DISTINCT v) AS q, SUM(DISTINCT d) AS r, COUNT(DISTINCT s) FILTER (WHERE v > 0) AS u"
WINDOW = "TABLE(HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end"


@contextmanager
def twins(
    monkeypatch: pytest.MonkeyPatch,
    sql: str,
    tables: Mapping[str, Table],
    module: object,
    name: str,
    answer: object,
) -> Generator[tuple[Harness, Harness], None, None]:
    """The operators of ``sql``, and those that are made when ``module.name`` always answers ``answer``."""
    with harness(sql, tables) as special:
        monkeypatch.setattr(module, name, lambda *_, **__: answer)
        with harness(sql, tables) as generic:
            yield special, generic


def steps(seed: int, *, updating: bool) -> Iterator[str]:
    """Random changes; only what is there is deleted."""
    rng = random.Random(seed)
    alive: list[str] = []
    for _ in range(14):
        lines = []
        for _ in range(rng.randrange(1, 7)):
            if updating and alive and rng.random() < 0.4:
                lines.append("-D " + alive.pop(rng.randrange(len(alive))))
            else:
                cells = [
                    rng.choice(("a", "b", "null")), rng.choice(("1", "2", "-7", "null")), rng.choice(("0.5", "-2", "null")),
                    rng.choice(("1.25", "-3.10", "98765.43", "null")), rng.choice(("p", "q", "''", "null")), rng.choice(("0", "4999", "5000", "17000")),
                ]  # fmt: skip
                alive.append(" ".join(cells))
                lines.append("+I " + alive[-1])
        yield "\n".join(lines)


@pytest.mark.parametrize(("seed", "keys"), list(enumerate(["", " GROUP BY k", " GROUP BY k, s"])))
@pytest.mark.parametrize("updating", [False, True])
def test_groups(monkeypatch: pytest.MonkeyPatch, seed: int, keys: str, updating: bool) -> None:
    calls = f"{LINEAR}, {DISTINCT}" if updating else f"{LINEAR}, {INSERT_ONLY}, {DISTINCT}"
    sql = f"SELECT {'k, ' if keys else ''}{calls} FROM t{keys}"
    tables = CHANGELOG if updating else INSERTS
    with twins(monkeypatch, sql, tables, build_groups, "is_incremental", False) as (special, generic):
        assert type(special.operator("GroupAggregate")) is not type(generic.operator("GroupAggregate"))
        for text in steps(seed, updating=updating):
            for h in (special, generic):
                h.push(text)
            assert sorted(special.take()) == sorted(generic.take())
            assert special.content("GroupAggregate") == generic.content("GroupAggregate")
        for h in (special, generic):
            h.finish()
        assert special.take() == generic.take()


@pytest.mark.parametrize(("seed", "keys"), list(enumerate(["k", "k, s", "v, x"])))
@pytest.mark.parametrize("updating", [False, True])
def test_groups_by_slot(monkeypatch: pytest.MonkeyPatch, seed: int, keys: str, updating: bool) -> None:
    """A step's rows added up by slot, against those that DuckDB aggregates first."""
    sql = f"SELECT {keys}, {SUMS}, {DISTINCT_SUMS} FROM t WHERE s <> 'q' GROUP BY {keys}"
    tables = CHANGELOG if updating else INSERTS
    ways: set[object] = set()
    with twins(monkeypatch, sql, tables, build_groups, "_summands_sql", None) as (special, generic):
        assert generic.operator("GroupAggregate").config.row_sql is None
        for text in steps(seed, updating=updating):
            for h in (special, generic):
                h.push(text)
            assert special.take() == generic.take()
            assert special.content("GroupAggregate") == generic.content("GroupAggregate")
            ways.add(special.operator("GroupAggregate").ctx.states["flags"].get("by_row"))
    assert 1 in ways


@pytest.mark.parametrize(("seed", "keys"), list(enumerate(["", ", k", ", k, s"])))
@pytest.mark.parametrize("updating", [False, True])
def test_windows(monkeypatch: pytest.MonkeyPatch, seed: int, keys: str, updating: bool) -> None:
    calls = LINEAR if updating else f"{LINEAR}, {INSERT_ONLY}"
    sql = f"SELECT window_end{keys}, {calls} FROM {WINDOW}{keys}"
    tables = CHANGELOG if updating else INSERTS
    with twins(monkeypatch, sql, tables, build_windows, "slice_partials", None) as (special, generic):
        assert (
            special.operator("WindowAggregate").config.partial
            != generic.operator("WindowAggregate").config.partial
        )
        for n, text in enumerate(steps(seed, updating=updating)):
            for h in (special, generic):
                h.push(text, watermark=-10_000 + n * 1000)
            assert sorted(special.take()) == sorted(generic.take())
        assert special.content("WindowAggregate") == generic.content("WindowAggregate")
        for h in (special, generic):
            h.finish()
        assert sorted(special.take()) == sorted(generic.take())


@pytest.mark.parametrize(("seed", "keys"), list(enumerate(["", ", k", ", k, s", ", v, x"])))
@pytest.mark.parametrize("updating", [False, True])
@pytest.mark.parametrize("kind", ["HOP", "CUMULATE"])
def test_windows_by_slot(
    monkeypatch: pytest.MonkeyPatch, seed: int, keys: str, updating: bool, kind: str
) -> None:
    """Slices that add themselves to the keys' places, against slices that DuckDB merges."""
    sql = f"SELECT window_end{keys}, {SUMS} FROM {WINDOW.replace('HOP', kind)}{keys}"
    tables = CHANGELOG if updating else INSERTS
    with twins(monkeypatch, sql, tables, SlotMerge, "takes", False) as (special, generic):
        assert special.operator("WindowAggregate").config.slot_sql is not None
        assert generic.operator("WindowAggregate").config.slot_sql is None
        for n, text in enumerate(steps(seed, updating=updating)):
            for h in (special, generic):
                h.push(text, watermark=-10_000 + n * 1500)
            assert special.take() == generic.take()
            assert special.content("WindowAggregate") == generic.content("WindowAggregate")
        for h in (special, generic):
            h.finish()
        assert special.take() == generic.take()
