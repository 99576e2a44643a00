"""Forms of random queries: grouping sets, and sub-queries in expressions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .random_tables import COLLECTIONS

if TYPE_CHECKING:
    from .queries import Builder, Relation


def grouping_sets(b: Builder, depth: int) -> Relation:
    """GROUP BY with several sets of keys, beside the window's where the input has one and the draw says so."""
    r = b.relation(depth - 1)
    keys = b.keys(r)
    if not keys:
        return b.project(depth)
    window = r.window if r.window and b.one_in(2) else None
    listed = ", ".join(keys)
    sets = str(
        b.pick(
            f"ROLLUP ({listed})",
            f"CUBE ({listed})",
            f"GROUPING SETS (({listed}), ({keys[0]}))",
            f"GROUPING SETS (({listed}), ({keys[-1]}), ())",
        )
    )
    items = [(k, b.name(), r.kind(k)) for k in keys]
    items += [(w, b.name(), "time") for w in window or ()]
    items += [(f"GROUPING({keys[-1]})", b.name(), "big")] + [(c, b.name(), k) for c, k in b.calls(r)]
    body = ", ".join(f"{e} AS {n}" for e, n, _ in items)
    by = ", ".join([*(window or ()), sets])
    sql = f"SELECT {body} FROM ({r.sql}){b.where(r)} GROUP BY {by}"
    columns = tuple((n, k) for _, n, k in items)
    renamed = {e: n for e, n, _ in items}
    return replace(
        r,
        sql=sql,
        columns=columns,
        updating=window is None,
        ordered=False,
        time=None,
        window=(renamed[window[0]], renamed[window[1]]) if window else None,
    )


def _pair(b: Builder, depth: int) -> tuple[Relation, Relation, str, str] | None:
    """Two relations, the second with names of its own, and a column of each that can be compared."""
    a, inner = b.relation(depth - 1), b.relation(depth - 1)
    renamed = [(n, b.name(), k) for n, k in inner.columns]
    items = ", ".join(f"{n} AS {m}" for n, m, _ in renamed)
    c = replace(inner, sql=f"SELECT {items} FROM ({inner.sql})", columns=tuple((m, k) for _, m, k in renamed))
    same = [(n, m) for n, j in a.columns for m, k in c.columns if j == k and k not in COLLECTIONS]
    if not same:
        return None
    x, y = same[b.choose(len(same))]
    return a, c, x, y


def _of(a: Relation, sql: str, *more: tuple[str, str]) -> Relation:
    return replace(
        a, sql=sql, columns=(*a.columns, *more), updating=True, ordered=False, time=None, window=None
    )


def tested(b: Builder, depth: int) -> Relation:
    """WHERE with [NOT] IN or [NOT] EXISTS."""
    found = _pair(b, depth)
    if found is None:
        return b.project(depth)
    a, c, x, y = found
    negated = str(b.pick("", "NOT "))
    condition = f" AND {b.condition(c, 1)}" if b.one_in(3) else ""
    tests = [
        f"{x} {negated}IN (SELECT {y} FROM ({c.sql}){b.where(c)})",
        f"{negated}EXISTS (SELECT 1 FROM ({c.sql}) WHERE {y} = {x}{condition})",
    ]
    return _of(a, f"SELECT {', '.join(n for n, _ in a.columns)} FROM ({a.sql}) WHERE {b.pick(*tests)}")


def valued(b: Builder, depth: int) -> Relation:
    """A sub-query as a column: a value, or whether it holds one."""
    found = _pair(b, depth)
    if found is None:
        return b.project(depth)
    a, c, x, y = found
    name = b.name()
    kind = dict(c.columns)[y]
    correlated = f" WHERE {y} = {x}" if b.one_in(2) else ""
    values = [
        (f"(SELECT COUNT(*) FROM ({c.sql}){correlated})", "big"),
        (f"(SELECT MIN({y}) FROM ({c.sql}){correlated})", kind),
        (f"{x} IN (SELECT {y} FROM ({c.sql}){b.where(c)})", "bool"),
        (f"EXISTS (SELECT 1 FROM ({c.sql}){correlated})", "bool"),
    ]
    value, made = values[b.choose(len(values))]
    return _of(
        a, f"SELECT {', '.join(n for n, _ in a.columns)}, {value} AS {name} FROM ({a.sql})", (name, made)
    )


FORMS: tuple[Callable[[Builder, int], Relation], ...] = (grouping_sets, tested, valued)
