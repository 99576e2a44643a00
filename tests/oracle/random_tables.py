"""Random tables, as hypothesis strategies: what the random queries of :mod:`tests.oracle.queries` read."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
from hypothesis import strategies as st

from .tables import MILLIS, RETRACT, UPSERT, Input, table

KINDS = {
    "int": pa.int32(),
    "big": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.decimal128(9, 3),
    "text": pa.string(),
    "bool": pa.bool_(),
    "time": MILLIS,
    "instant": pa.timestamp("ms", "UTC"),
    "array": pa.list_(pa.int32()),
}
COLLECTIONS = ("array", "multiset")
NUMBERS = ("int", "big", "double", "decimal")

VALUES: dict[str, Sequence[object]] = {
    "int": (0, 1, 2, 7, -5),
    "big": (0, 1, -3, 10**12),
    "double": (0.0, -0.0, 0.25, -2.75, 1e3, 0.1),
    "decimal": tuple(Decimal(x) for x in ("0.000", "1.250", "-3.005", "99.999")),
    "text": ("a", "b", "", "ü"),
    "bool": (True, False),
    "array": ([], [1], [2, None, 2]),
}

SIZES = (5, 9, 16, 9, 16, 2, 1, 0)
"""Rows a table has. Its cells come from a seed: hypothesis shrinks the size, and tables stay dense."""

DELAY_S = 4


# -- tables --------------------------------------------------------------------------------------------------------


def cell(rng: random.Random, kind: str) -> object:
    """A value of a kind; one in five is NULL, and times fall into one minute."""
    if kind in ("time", "instant"):
        return rng.choice((rng.randrange(120) / 2, rng.randrange(60_000) / 1000))
    return None if rng.random() < 0.2 else rng.choice(VALUES[kind])


EVENT_COLUMNS = {
    "i": "int",
    "l": "big",
    "f": "double",
    "d": "decimal",
    "s": "text",
    "b": "bool",
    "a": "array",
    "ts": "time",
}


def events(name: str = "t") -> st.SearchStrategy[Input]:
    """Rows with every type and an event time, in an order in which none is late. That of ``u`` is an instant."""
    kinds = EVENT_COLUMNS | ({"ts": "instant"} if name == "u" else {})

    def made(size: int, seed: int) -> Input:
        rng = random.Random(seed)
        rows = [[cell(rng, k) for k in kinds.values()] for _ in range(size)]
        found = Input(name, table({c: KINDS[k] for c, k in kinds.items()}, *rows), "ts", DELAY_S)
        return found.shuffled(seed)

    return st.builds(made, st.sampled_from(SIZES), st.integers(0, 9999))


def changes() -> st.SearchStrategy[Input]:
    """A retracting changelog ``c``: only rows that are there are deleted."""

    def made(size: int, seed: int) -> Input:
        rng = random.Random(seed)
        log: list[tuple[int, tuple[object, ...]]] = []
        alive: list[tuple[object, ...]] = []
        for _ in range(size):
            if alive and rng.random() < 0.45:
                log.append((-1, alive.pop(rng.randrange(len(alive)))))
            else:
                alive.append(tuple(cell(rng, k) for k in ("int", "double", "text")))
                log.append((+1, alive[-1]))
        rows = table({"i": KINDS["int"], "f": KINDS["double"], "s": KINDS["text"]}, *(r for _, r in log))
        return Input("c", rows, weights=tuple(w for w, _ in log), mode=RETRACT)

    return st.builds(made, st.sampled_from(SIZES), st.integers(0, 9999))


def corrected() -> st.SearchStrategy[Input]:
    """A retracting changelog ``e`` with an event time: a row is taken back while it is not late yet."""
    kinds = {"i": "int", "s": "text", "ts": "time"}

    def made(size: int, seed: int) -> Input:
        rng = random.Random(seed)
        cells = [[cell(rng, k) for k in kinds.values()] for _ in range(size)]
        rows = table({c: KINDS[k] for c, k in kinds.items()}, *cells)
        ordered = Input("e", rows, "ts", DELAY_S).shuffled(seed)
        times = ordered.rows["ts"].cast(pa.int64()).to_pylist()
        log: list[tuple[int, int]] = []
        doomed: list[int] = []
        for n in range(size):
            limit = max(times[: n + 1]) - DELAY_S * 1000
            for old in [o for o in doomed if times[o] <= limit or rng.random() < 0.3]:
                doomed.remove(old)
                log.append((-1, old))
            log.append((+1, n))
            if rng.random() < 0.4:
                doomed.append(n)
        log += [(-1, old) for old in doomed]
        taken = ordered.rows.take(pa.array([n for _, n in log], pa.int64()))
        return replace(ordered, rows=taken, weights=tuple(w for w, _ in log), mode=RETRACT)

    return st.builds(made, st.sampled_from(SIZES), st.integers(0, 9999))


def upserts() -> st.SearchStrategy[Input]:
    """An upsert changelog ``p`` by key ``id``; deletions of absent keys and repetitions included."""

    def made(size: int, seed: int) -> Input:
        rng = random.Random(seed)
        log = [
            (rng.choice((1, 1, -1)), rng.randrange(4), cell(rng, "int"), cell(rng, "text"))
            for _ in range(size)
        ]
        rows = table({"id": KINDS["int"], "i": KINDS["int"], "s": KINDS["text"]}, *(r[1:] for r in log))
        return Input("p", rows, weights=tuple(r[0] for r in log), mode=UPSERT, key=("id",))

    return st.builds(made, st.sampled_from(SIZES), st.integers(0, 9999))


def inputs() -> st.SearchStrategy[list[Input]]:
    """The five tables that queries read."""
    return st.tuples(events("t"), events("u"), changes(), upserts(), corrected()).map(list)
