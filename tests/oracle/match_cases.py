"""Random MATCH_RECOGNIZE queries: patterns, conditions and measures as SQL, and as Python for the reference matcher."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any

import pyarrow as pa

from .matching import Condition, Matching, Pattern, Seen
from .tables import MILLIS, Input, table

COLUMNS = {
    "k": pa.string(),
    "id": pa.int64(),
    "x": pa.int32(),
    "d": pa.float64(),
    "s": pa.string(),
    "t": MILLIS,
}
VARIABLES = "ABCD"


def _is(test: Callable[[Any, Any], bool], a: Any, b: Any) -> bool | None:
    return None if a is None or b is None else test(a, b)


def _total(seen: Seen, variable: str | None, column: str) -> Any:
    known = seen.known(variable, column)
    return sum(known) if known else None


def _mean(seen: Seen) -> Any:
    known = seen.known(None, "x")
    return int(sum(known) / len(known)) if known else None


def _either(*parts: bool | None) -> bool | None:
    return True if True in parts else None if None in parts else False


def _both(*parts: bool | None) -> bool | None:
    return False if False in parts else None if None in parts else True


Made = tuple[str, Condition]
"""A condition as SQL and as Python."""


def _row_conditions(v: str, n: int) -> list[Made]:
    """Conditions on the row being tried alone."""
    letter = "a" if n % 2 else "b"
    return [
        (f"{v}.x > {n}", lambda s: _is(gt, s.last(v, "x"), n)),
        (f"x <= {n}", lambda s: _is(le, s.last(None, "x"), n)),
        (
            f"{v}.x IS NULL OR {v}.s = 'a'",
            lambda s: _either(s.last(v, "x") is None, _is(eq, s.last(v, "s"), "a")),
        ),
        (f"LAST({v}.x) <> {n}", lambda s: _is(ne, s.last(v, "x"), n)),
        (f"s || 'b' = '{letter}b'", lambda s: _is(eq, s.last(None, "s"), letter)),
    ]


def _match_conditions(v: str, w: str, n: int) -> list[Made]:
    """Conditions on rows before it, too."""

    def x(seen: Seen) -> Any:
        return seen.last(v, "x")

    return [
        (f"{v}.x > {w}.x", lambda s: _is(gt, x(s), s.last(w, "x"))),
        (
            f"LAST({v}.x, 1) IS NULL OR {v}.x >= LAST({v}.x, 1)",
            lambda s: _either(s.last(v, "x", 1) is None, _is(ge, x(s), s.last(v, "x", 1))),
        ),
        ("x <> LAST(x, 1)", lambda s: _is(ne, s.last(None, "x"), s.last(None, "x", 1))),
        (f"SUM({v}.x) < {3 * n}", lambda s: _is(lt, _total(s, v, "x"), 3 * n)),
        (f"COUNT({v}.*) <= {n}", lambda s: len(s.of(v)) <= n),
        (f"COUNT(*) < {2 * n} AND COUNT({w}.x) >= 0", lambda s: len(s.of(None)) < 2 * n),
        (f"AVG(x) >= {n - 2}", lambda s: _is(ge, _mean(s), n - 2)),
        (f"{v}.x = FIRST({w}.x)", lambda s: _is(eq, x(s), s.first(w, "x"))),
        (f"MAX({w}.x) > {v}.x", lambda s: _is(gt, max(s.known(w, "x"), default=None), x(s))),
        (f"{v}.x + {w}.x < {2 * n}", lambda s: _is(lt, _add(x(s), s.last(w, "x")), 2 * n)),
        (f"COALESCE({w}.x, {n}) <= {v}.x", lambda s: _is(le, _or(s.last(w, "x"), n), x(s))),
        (
            f"{v}.s = {w}.s OR {w}.s IS NULL",
            lambda s: _either(_is(eq, s.last(v, "s"), s.last(w, "s")), s.last(w, "s") is None),
        ),
        (f"NOT {v}.d < LAST({w}.d, 1)", lambda s: _is(ge, s.last(v, "d"), s.last(w, "d", 1))),
        (
            f"FIRST(x, 1) IS NULL OR FIRST(x, 1) < {v}.x",
            lambda s: _either(s.first(None, "x", 1) is None, _is(lt, s.first(None, "x", 1), x(s))),
        ),
        (f"MIN({v}.d) BETWEEN 0 AND {n}", lambda s: _is(le, min(s.known(v, "d"), default=None), n)),
        (f"{v}.s || {w}.s <> 'ab'", lambda s: _is(ne, _add(s.last(v, "s"), s.last(w, "s")), "ab")),
        (
            f"CASE WHEN {w}.x IS NULL THEN {v}.x > 1 ELSE {v}.x > {w}.x END",
            lambda s: _is(gt, x(s), _or(s.last(w, "x"), 1)),
        ),
    ]


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _and(f: Condition, g: Condition) -> Condition:
    return lambda s: _both(f(s), g(s))


def _add(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a + b


@dataclass
class Case:
    """A query and its parts for the reference."""

    pattern: Pattern
    define: dict[str, Made]
    skip: str
    skip_to: str | None
    within: int | None

    @property
    def sql(self) -> str:
        """The query over table ``e``."""
        after = self.skip + (f" {self.skip_to}" if self.skip_to else "")
        within = f" WITHIN INTERVAL '{self.within}' SECOND" if self.within else ""
        define = ", ".join(f"{v} AS {sql}" for v, (sql, _) in self.define.items())
        measures = [
            "FIRST(id) AS a",
            "id AS z",
            "COUNT(*) AS n",
            "SUM(d) AS total",
            "LAST(x, 1) + 1 AS before",
        ]
        for v in sorted(names(self.pattern)):
            measures += [f"COUNT({v}.*) AS n{v}", f"FIRST({v}.id) AS f{v}", f"LAST({v}.id, 1) AS l{v}"]
            measures += [
                f"FIRST({v}.x, 1) AS o{v}",
                f"SUM({v}.x) AS s{v}",
                f"MAX({v}.x) - MIN({v}.x) AS r{v}",
            ]
            measures.append(f"{v}.s AS t{v}")
        return (
            f"SELECT * FROM e MATCH_RECOGNIZE (PARTITION BY k ORDER BY t, id MEASURES {', '.join(measures)} "
            f"AFTER MATCH SKIP {after} PATTERN ({written(self.pattern)}){within} "
            + (f"DEFINE {define})" if define else ")")
        )

    def expected(self, rows: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
        """Its answer."""
        found: list[tuple[Any, ...]] = []
        for k in sorted({r["k"] for r in rows}):
            mine = sorted((r for r in rows if r["k"] == k), key=lambda r: (r["t"], r["id"]))
            define = {v: test for v, (_, test) in self.define.items()}
            matching = Matching(mine, self.pattern, define, self.skip, self.skip_to, self.within)
            found += [self._measures(k, Seen(mine, mapped)) for mapped in matching.matches()]
        return found

    def _measures(self, k: str, seen: Seen) -> tuple[Any, ...]:
        values = [seen.first(None, "id"), seen.last(None, "id"), len(seen.mapped), _total(seen, None, "d")]
        values.append(_add(seen.last(None, "x", 1), 1))
        for v in sorted(names(self.pattern)):
            known = seen.known(v, "x")
            values += [len(seen.of(v)), seen.first(v, "id"), seen.last(v, "id", 1), seen.first(v, "x", 1)]
            values += [_total(seen, v, "x"), max(known) - min(known) if known else None, seen.last(v, "s")]
        return (k, *values)


def names(p: Pattern) -> set[str]:
    return {p[1]} if p[0] == "var" else set().union(*(names(q) for q in p[1:] if isinstance(q, tuple)))


def written(p: Pattern) -> str:
    match p:
        case ("var", name):
            return str(name)
        case ("seq", *parts):
            return " ".join(f"({written(q)})" if q[0] == "alt" else written(q) for q in parts)
        case ("alt", *parts):
            return " | ".join(written(q) for q in parts)
        case ("rep", part, low, high, reluctant):
            inner = written(part) if part[0] == "var" else f"({written(part)})"
            text = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get(
                (low, high), f"{{{low},{'' if high is None else high}}}"
            )
            return f"{inner}{text}{'?' if reluctant else ''}"
        case _:
            raise ValueError(p)


def _part(rng: random.Random, depth: int) -> Pattern:
    """A part of a pattern that takes a row at least."""
    kind = rng.random()
    if depth and kind < 0.15:
        return ("alt", _part(rng, depth - 1), _part(rng, depth - 1))
    if depth and kind < 0.3:
        return ("seq", _part(rng, depth - 1), _repeated(rng, depth - 1))
    return ("var", rng.choice(VARIABLES))


def _repeated(rng: random.Random, depth: int) -> Pattern:
    part = _part(rng, depth)
    if rng.random() < 0.35:
        return part
    low, high = rng.choice([(0, None), (1, None), (0, 1), (2, 2), (1, 3), (0, 2), (2, None)])
    return ("rep", part, low, high, rng.random() < 0.3)


def random_case(rng: random.Random) -> Case:
    """A pattern with a certain first row and an end that needs no row behind it."""
    parts = [_repeated(rng, rng.choice((0, 0, 1, 2))) for _ in range(rng.randrange(3))]
    end: Pattern = ("var", rng.choice(VARIABLES))
    if rng.random() < 0.3:  # a reluctant end, after a row that is certain
        parts.append(("var", rng.choice(VARIABLES)))
        end = ("rep", end, rng.randrange(2), rng.choice([None, 2]), True)
    pattern: Pattern = ("seq", ("var", rng.choice(VARIABLES)), *parts, end)
    define: dict[str, Made] = {}
    used = sorted(names(pattern))
    for v in used:
        n = rng.randrange(1, 4)
        choices = [_row_conditions(v, n), _match_conditions(v, rng.choice(used), n)]
        if rng.random() < 0.85:
            define[v] = rng.choice(rng.choice(choices))
        if v in define and rng.random() < 0.25:
            (a, f), (b, g) = define[v], rng.choice(rng.choice(choices))
            define[v] = (f"({a}) AND ({b})", _and(f, g))
    skip = rng.choice(["PAST LAST ROW", "TO NEXT ROW", "TO LAST", "TO FIRST"])
    at = None
    if not skip.endswith("ROW"):
        at = rng.choice(used)
        if skip == "TO FIRST" and at == pattern[1][1]:
            skip, at = "TO NEXT ROW", None
    return Case(pattern, define, skip, at, rng.choice([None, None, 4, 9]))


def random_rows(rng: random.Random, size: int) -> list[dict[str, Any]]:
    """Rows of up to two partitions, with NULLs and equal times."""

    def row(i: int) -> dict[str, Any]:
        def cell(*values: Any) -> Any:
            return None if rng.random() < 0.1 else rng.choice(values)

        k, t = rng.choice("pq") if rng.random() < 0.3 else "p", i // 2 + rng.randrange(2)
        return {
            "k": k,
            "id": i,
            "x": cell(0, 1, 2, 3, 4),
            "d": cell(0.5, 1.0, 2.25),
            "s": cell("a", "b"),
            "t": t,
        }

    return [row(i) for i in range(size)]


def input_of(rows: Sequence[dict[str, Any]]) -> Input:
    """The rows as table ``e``."""
    ordered = sorted(rows, key=lambda r: r["t"])
    return Input("e", table(COLUMNS, *(tuple(r[c] for c in COLUMNS) for r in ordered)), time="t", delay_s=3)
