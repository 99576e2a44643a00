"""The generator's ranks, limits, deduplication and OVER aggregates: those whose answer no order of arrival decides."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .queries import Builder, Relation

EXACT = ("int", "big", "decimal", "text", "bool", "time", "instant")
"""Kinds that streaming and batch mode compute to the last digit, so that both order them alike."""


def exact(b: Builder, r: Relation) -> Relation:
    """The columns of ``r`` that can be ordered by; one of a constant where there is none."""
    columns = [(n, k) for n, k in r.columns if k in EXACT]
    items = [n for n, _ in columns]
    if not columns:
        columns = [(b.name(), "int")]
        items = [f"1 AS {columns[0][0]}"]
    sql = f"SELECT {', '.join(items)} FROM ({r.sql})"
    return replace(r, sql=sql, columns=tuple(columns))


def order(b: Builder, r: Relation) -> str:
    """All columns, one of them first: rows that stay equal are the same row."""
    names = [n for n, _ in r.columns]
    first = names[b.choose(len(names))]
    rest = [n for n in names if n != first]
    return ", ".join([f"{first}{b.pick('', ' DESC', ' DESC NULLS FIRST', ' NULLS LAST')}", *rest])


def top_n(b: Builder, depth: int) -> Relation:
    """The best rows of each partition, of each window where there is one."""
    r = exact(b, b.relation(depth - 1))
    names = [n for n, _ in r.columns]
    window = list(r.window or ()) if b.one_in(2) and not r.updating else []
    partition = list(dict.fromkeys([*window, *(n for n in names if b.one_in(4))]))
    by = f"PARTITION BY {', '.join(partition)} " if partition else ""
    rank, name = str(b.pick("ROW_NUMBER", "ROW_NUMBER", "RANK", "DENSE_RANK")), b.name()
    inner = f"SELECT *, {rank}() OVER ({by}ORDER BY {order(b, r)}) AS {name} FROM ({r.sql})"
    n = 1 + b.choose(3)
    condition = str(
        b.pick(f"{name} <= {n}", f"{name} = {n}", f"{name} < {n + 1}", f"{name} BETWEEN 2 AND {n + 1}")
    )
    shown = [*r.columns, (name, "big")] if b.one_in(2) else list(r.columns)
    sql = f"SELECT {', '.join(n for n, _ in shown)} FROM ({inner}) WHERE {condition}"
    if b.one_in(3):
        sql += f" AND {b.test(r)}"
    windowed = set(r.window or ("",)) <= set(partition)
    return replace(
        r,
        sql=sql,
        columns=tuple(shown),
        updating=not windowed,
        ordered=False,
        time=r.time if windowed else None,
        window=r.window if windowed else None,
    )


def limited(b: Builder, depth: int) -> Relation:
    """The first rows of an order; of arrival where batch mode has the same."""
    r = exact(b, b.relation(depth - 1))
    tail = f"LIMIT {b.choose(6)}" + (f" OFFSET {b.choose(3)}" if b.one_in(3) else "")
    if r.ordered and not r.updating and b.one_in(3):
        return replace(r, sql=f"SELECT * FROM ({r.sql}) {tail}", time=None, window=None)
    sql = f"SELECT * FROM ({r.sql}) ORDER BY {order(b, r)} {tail}"
    return replace(r, sql=sql, updating=True, ordered=False, time=None, window=None)


def deduplicated(b: Builder, depth: int) -> Relation:
    """The first or last row of a key by event time."""
    r = exact(b, b.relation(depth - 1))
    if r.time is None or r.updating or not r.ordered:
        return top_n(b, depth)
    keys = [n for n, _ in r.columns if n != r.time and b.one_in(2)] or [r.columns[0][0]]
    name, last = b.name(), b.one_in(2)
    inner = (
        f"SELECT *, ROW_NUMBER() OVER (PARTITION BY {', '.join(keys)} ORDER BY {r.time}"
        f"{' DESC' if last else ''}) AS {name} FROM ({r.sql}) WHERE {r.time} IS NOT NULL"
    )
    sql = f"SELECT {', '.join(n for n, _ in r.columns)} FROM ({inner}) WHERE {name} = 1"
    return replace(r, sql=sql, updating=last, ordered=False, time=None if last else r.time, window=None)


def over(b: Builder, depth: int) -> Relation:
    """Window functions: by event time where there is one, else in any order."""
    r = exact(b, b.relation(depth - 1))
    timed = r.time is not None and not r.updating and b.one_in(2)
    calls = [_call(b, r, timed=timed) for _ in range(1 + b.choose(2))]
    items = ", ".join(f"{sql} AS {name}" for sql, name, _ in calls)
    where = f" WHERE {r.time} IS NOT NULL" if timed else ""
    columns = (*r.columns, *((name, kind) for _, name, kind in calls))
    return replace(
        r,
        sql=f"SELECT *, {items} FROM ({r.sql}){where}",
        columns=columns,
        updating=not timed,
        ordered=False,
        time=r.time if timed else None,
        window=None,
    )


def _call(b: Builder, r: Relation, *, timed: bool) -> tuple[str, str, str]:
    partition = [n for n, _ in r.columns if b.one_in(4)]
    by = f"PARTITION BY {', '.join(partition)} " if partition else ""
    numbers = r.of_kind("int", "big", "decimal")
    column, kind = r.columns[b.choose(len(r.columns))]
    calls = [
        ("COUNT(*)", "big"),
        (f"COUNT({column})", "big"),
        (f"MAX({column})", kind),
        (f"MIN({column})", kind),
    ]
    calls += [(f"SUM({n})", "number") for n in numbers[:1]]
    calls += [("RANK()", "big"), ("DENSE_RANK()", "big")]
    if timed:
        call, result = calls[b.choose(len(calls))]
        seconds = b.pick(2, 10)
        frames = ["", f" RANGE BETWEEN INTERVAL '{seconds}' SECOND PRECEDING AND CURRENT ROW"]
        frame = str(b.pick(*frames)) if not call.endswith("RANK()") else ""
        return f"{call} OVER ({by}ORDER BY {r.time}{frame})", b.name(), result
    calls += [
        ("ROW_NUMBER()", "big"),
        (f"LAG({column})", kind),
        (f"LEAD({column}, 2)", kind),
        ("NTILE(3)", "int"),
    ]
    call, result = calls[b.choose(len(calls))]
    frame = ""
    if call.startswith(("COUNT", "MAX", "MIN", "SUM")):
        frame = str(
            b.pick(
                "", " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING"
            )
        )
    return f"{call} OVER ({by}ORDER BY {order(b, r)}{frame})", b.name(), result


FORMS = (top_n, top_n, limited, deduplicated, over)
