"""Forms of random queries: sub-queries in expressions and in FROM, which read the queries around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .random_tables import COLLECTIONS

if TYPE_CHECKING:
    from .queries import Builder, Relation

ORDERED = ("int", "big", "double", "decimal", "text", "time", "instant")
"""Kinds whose values are compared by < as well."""


@dataclass(frozen=True)
class Pair:
    """Two relations, the second with names of its own. ``x`` of the first and ``y`` of the second are of one kind."""

    outer: Relation
    inner: Relation
    x: str
    y: str
    kind: str

    @property
    def shown(self) -> str:
        return ", ".join(n for n, _ in self.outer.columns)


def renamed(b: Builder, r: Relation) -> Relation:
    """The same rows with names that nothing else has."""
    names = [(n, b.name(), k) for n, k in r.columns]
    items = ", ".join(f"{n} AS {m}" for n, m, _ in names)
    return replace(r, sql=f"SELECT {items} FROM ({r.sql})", columns=tuple((m, k) for _, m, k in names))


def pair(b: Builder, depth: int) -> Pair | None:
    """Two relations that can be compared; None for none."""
    a, c = b.relation(depth - 1), renamed(b, b.relation(depth - 1))
    same = [(n, m, k) for n, j in a.columns for m, k in c.columns if j == k and k not in COLLECTIONS]
    return Pair(a, c, *same[b.choose(len(same))]) if same else None


def compared(b: Builder, y: str, x: str, kind: str) -> str:
    """A condition on two values of one kind, an equality more often than not."""
    operators = ["=", "=", "=", "<>", "IS NOT DISTINCT FROM"]
    operators += ["<", ">=", ">"] if kind in ORDERED else []
    return f"{y} {b.pick(*operators)} {x}"


def correlated(b: Builder, p: Pair) -> str:
    """WHERE of the inner relation, which reads the outer one; in some it does not."""
    from .queries import Relation

    if b.one_in(6):
        return b.where(p.inner)
    more = ""
    if b.one_in(3):
        both = Relation("", (*p.outer.columns, *p.inner.columns))
        more = f" {b.pick('AND', 'AND', 'OR')} {b.condition(both, 1)}"
    return f" WHERE {compared(b, p.y, p.x, p.kind)}{more}"


def made(a: Relation, sql: str, *more: tuple[str, str]) -> Relation:
    columns = (*a.columns, *more)
    return replace(a, sql=sql, columns=columns, updating=True, ordered=False, time=None, window=None)


# -- expressions -----------------------------------------------------------------------------------------------------


def rows(b: Builder, p: Pair) -> str:
    """A sub-query of one column of the kind of ``y``."""
    source, where, y = f"({p.inner.sql})", correlated(b, p), p.y
    found = [
        f"SELECT {y} FROM {source}{where}",
        f"SELECT {y} FROM {source}{where}",
        f"SELECT DISTINCT {y} FROM {source}{where}",
        f"SELECT {y} FROM {source}{where} ORDER BY {y} {b.pick('', 'DESC')} LIMIT {1 + b.choose(3)}",
        f"SELECT {y} FROM {source}{where} UNION ALL SELECT {y} FROM {source}{correlated(b, p)}",
    ]
    if p.kind in ORDERED:
        found += [
            f"SELECT MAX({y}) FROM {source}{where}",
            f"SELECT MIN({y}) FROM {source}{where} GROUP BY {p.inner.columns[0][0]}"
            if p.inner.columns[0][1] not in COLLECTIONS
            else f"SELECT MIN({y}) FROM {source}{where}",
            f"SELECT {y} FROM {source}{where} GROUP BY {y} HAVING COUNT(*) > {b.choose(3)}",
        ]
    return str(b.pick(*found))


def value(b: Builder, p: Pair) -> tuple[str, str]:
    """A sub-query of one row, with its kind."""
    source, where, y = f"({p.inner.sql})", correlated(b, p), p.y
    found = [
        (f"(SELECT COUNT(*) FROM {source}{where})", "big"),
        (f"(SELECT COUNT({y}) + 1 FROM {source}{where})", "big"),
        (f"(SELECT {y} FROM {source}{where} ORDER BY {y} LIMIT 1)", p.kind),
    ]
    if p.kind in ORDERED:
        found += [
            (f"(SELECT MIN({y}) FROM {source}{where})", p.kind),
            (f"(SELECT MAX({y}) FROM {source}{where} HAVING COUNT(*) > 1)", p.kind),
        ]
    return found[b.choose(len(found))]


def test(b: Builder, p: Pair) -> str:
    """A condition with a sub-query."""
    negated = str(b.pick("", "NOT "))
    found = [
        f"{p.x} {negated}IN ({rows(b, p)})",
        f"{negated}EXISTS ({rows(b, p)})",
        f"{negated}EXISTS (SELECT 1 FROM ({p.inner.sql}){correlated(b, p)})",
    ]
    if p.kind in ORDERED:
        found.append(f"{p.x} {b.pick('<', '>=', '=', '<>')} {b.pick('ANY', 'ALL')} ({rows(b, p)})")
    number, kind = value(b, p)
    found.append(f"{number} > 1" if kind == "big" else f"{number} IS {negated}NULL")
    return str(b.pick(*found))


def tested(b: Builder, depth: int) -> Relation:
    """WHERE with sub-queries, alone or among other conditions."""
    p = pair(b, depth)
    if p is None:
        return b.project(depth)
    condition = test(b, p)
    if b.one_in(3):
        condition = f"{condition} {b.pick('AND', 'OR')} {b.condition(p.outer, 1)}"
    return made(p.outer, f"SELECT {p.shown} FROM ({p.outer.sql}) WHERE {condition}")


def valued(b: Builder, depth: int) -> Relation:
    """A sub-query as a column: a value, or whether it holds one."""
    p = pair(b, depth)
    if p is None:
        return b.project(depth)
    name = b.name()
    shown, kind = (test(b, p), "bool") if b.one_in(2) else value(b, p)
    return made(p.outer, f"SELECT {p.shown}, {shown} AS {name} FROM ({p.outer.sql})", (name, kind))


def grouped(b: Builder, depth: int) -> Relation:
    """GROUP BY a sub-query."""
    p = pair(b, depth)
    if p is None or b.plain:
        return b.project(depth)
    key, kind = value(b, p)
    names = b.name(), b.name()
    sql = f"SELECT {key} AS {names[0]}, COUNT(*) AS {names[1]} FROM ({p.outer.sql}) GROUP BY {key}"
    return replace(made(p.outer, sql), columns=((names[0], kind), (names[1], "big")))


def nested(b: Builder, depth: int) -> Relation:
    """A sub-query in a sub-query, which reads both queries around it."""
    p = pair(b, depth)
    if p is None:
        return b.project(depth)
    third = renamed(b, b.relation(depth - 1))
    same = [n for n, k in third.columns if k == p.kind]
    if not same:
        return tested(b, depth)
    z = same[b.choose(len(same))]
    within = f"{compared(b, z, p.x, p.kind)} AND {compared(b, z, p.y, p.kind)}"
    inner = str(
        b.pick(
            f"EXISTS (SELECT 1 FROM ({third.sql}) WHERE {within})",
            f"{p.y} NOT IN (SELECT {z} FROM ({third.sql}) WHERE {compared(b, z, p.x, p.kind)})",
            f"(SELECT COUNT(*) FROM ({third.sql}) WHERE {within}) < 2",
        )
    )
    condition = f"EXISTS (SELECT 1 FROM ({p.inner.sql}) WHERE {compared(b, p.y, p.x, p.kind)} AND {inner})"
    return made(p.outer, f"SELECT {p.shown} FROM ({p.outer.sql}) WHERE {condition}")


# -- LATERAL ---------------------------------------------------------------------------------------------------------


def lateral(b: Builder, depth: int) -> Relation:
    """The inner rows that belong to each outer row: all, the first, or what they add up to."""
    p = pair(b, depth)
    if p is None:
        return b.project(depth)
    source, where = f"({p.inner.sql})", correlated(b, p)
    bare = [(n, k) for n, k in p.inner.columns if k not in COLLECTIONS]
    order = ", ".join(n for n, _ in bare)
    n, m = b.name(), b.name()
    forms: list[tuple[str, list[tuple[str, str]]]] = [
        (f"SELECT {p.y} AS {n} FROM {source}{where}", [(n, p.kind)]),
        (f"SELECT COUNT(*) AS {n}, COUNT({p.y}) AS {m} FROM {source}{where}", [(n, "big"), (m, "big")]),
        (
            f"SELECT {order} FROM {source}{where} ORDER BY {order} LIMIT {1 + b.choose(2)}",
            bare,
        ),
        (
            f"SELECT {p.y} AS {n}, COUNT(*) AS {m} FROM {source}{where} GROUP BY {p.y}",
            [(n, p.kind), (m, "big")],
        ),
    ]
    query, columns = forms[b.choose(len(forms))]
    kind, on = [("JOIN", " ON TRUE"), ("LEFT JOIN", " ON TRUE"), ("CROSS JOIN", "")][b.choose(3)]
    shown = ", ".join([p.shown, *(c for c, _ in columns)])
    sql = f"SELECT {shown} FROM ({p.outer.sql}) {kind} LATERAL ({query}) AS l{on}"
    return made(p.outer, sql, *columns)


FORMS: tuple[Callable[[Builder, int], Relation], ...] = (
    tested,
    valued,
    tested,
    valued,
    grouped,
    nested,
    lateral,
)
