"""The generator's joins: regular ones of any relations, by time, by window, and with a table's present rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .random_tables import COLLECTIONS

if TYPE_CHECKING:
    from .queries import Builder, Relation

KINDS = ("INNER", "LEFT", "RIGHT", "FULL")


@dataclass(frozen=True)
class Side:
    """One input under names of its own. ``columns``: name and kind; ``sql`` stands in FROM."""

    relation: Relation
    sql: str
    columns: tuple[tuple[str, str], ...]
    names: dict[str, str]

    @property
    def time(self) -> str | None:
        return None if self.relation.time is None else self.names[self.relation.time]


def side(b: Builder, r: Relation) -> Side:
    """A relation with all columns named anew."""
    names = {n: b.name() for n, _ in r.columns}
    items = ", ".join(f"{n} AS {m}" for n, m in names.items())
    columns = tuple((names[n], k) for n, k in r.columns)
    return Side(r, f"(SELECT {items} FROM ({r.sql}))", columns, names)


def equalities(left: Side, right: Side) -> list[str]:
    """Every equality of two columns of one kind."""
    return [
        f"{m} = {n}" for m, j in left.columns for n, k in right.columns if j == k and k not in COLLECTIONS
    ]


def further(b: Builder, left: Side, right: Side) -> str:
    """A condition over both sides, in some joins."""
    from .queries import Relation

    if not b.one_in(3):
        return ""
    return f" AND {b.condition(Relation('', (*left.columns, *right.columns)), 1)}"


def condition(b: Builder, left: Side, right: Side) -> str:
    """What a join is by: equal columns, NULLs equal or not, or no equality at all."""
    equal = equalities(left, right)
    if not equal or (not b.plain and b.one_in(8)):
        return f"{left.columns[0][0]} IS NOT NULL" + further(b, left, right)
    on = str(b.pick(*equal))
    if b.one_in(6):
        on = on.replace(" = ", " IS NOT DISTINCT FROM ")
    elif b.one_in(6):
        on += f" AND {b.pick(*equal)}"
    return on


def made(left: Side, right: Side, kind: str, on: str, *, timed: bool = False) -> Relation:
    from .queries import Relation

    updating = left.relation.updating or right.relation.updating or (kind != "INNER" and not timed)
    time = left.time if timed and kind in ("INNER", "LEFT") else None
    columns = (*left.columns, *right.columns)
    return Relation(f"SELECT * FROM {left.sql} {kind} JOIN {right.sql} ON {on}", columns, updating, time=time)


def regular(b: Builder, depth: int) -> Relation:
    """Two relations, by columns of one kind or by any condition."""
    left, right = side(b, b.relation(depth - 1)), side(b, b.relation(depth - 1))
    kind = str(b.pick(*KINDS))
    on = condition(b, left, right)
    if not b.plain or kind == "INNER":
        on += further(b, left, right)
    return made(left, right, kind, on)


def interval(b: Builder, depth: int) -> Relation:
    """Two relations whose times are near each other."""
    r, s = b.relation(depth - 1), b.relation(depth - 1)
    if r.time is None or s.time is None or r.kind(r.time) != s.kind(s.time):
        return regular(b, depth)
    left, right = side(b, r), side(b, s)
    low, high = b.choose(7) - 3, b.choose(12) - 3
    bounds = f"{left.time} BETWEEN {right.time} + INTERVAL '{low}' SECOND AND {right.time} + INTERVAL '{high}' SECOND"
    return made(left, right, str(b.pick(*KINDS)), f"{bounds} AND {condition(b, left, right)}", timed=True)


def windowed(b: Builder, depth: int) -> Relation:
    """Rows of equal windows."""
    r, s = b.windowed(depth), b.windowed(depth)
    if r.window is None or s.window is None:
        return regular(b, depth)
    left, right = side(b, r), side(b, s)
    same: Sequence[str] = [
        f"{left.names[x]} = {right.names[y]}" for x, y in zip(r.window, s.window, strict=True)
    ]
    on = " AND ".join(same)
    if b.one_in(2):
        on += f" AND {condition(b, left, right)}"
    return made(left, right, str(b.pick(*KINDS)), on)


def present(b: Builder, depth: int) -> Relation:
    """Insertions with what a table holds: all of it, as it ends and is loaded first."""
    r = b.relation(depth - 1)
    if r.updating:
        return regular(b, depth)
    left, right = side(b, r), side(b, b.relation(depth - 1))
    view = f"{b.prefix}v{len(b.views)}"
    b.views.append(f"CREATE TEMPORARY VIEW {view} AS SELECT * FROM {right.sql}")
    kind = str(b.pick("INNER", "LEFT"))
    on = condition(b, left, right)
    sql = f"SELECT * FROM {left.sql} {kind} JOIN {view} FOR SYSTEM_TIME AS OF PROCTIME() ON {on}"
    return replace(made(left, right, kind, on, timed=True), sql=sql, updating=False)


def past(b: Builder, depth: int) -> Relation:
    """Rows with the version that held at their time, of a view that keeps the last row of a key, perhaps filtered."""
    r = b.relation(depth - 1)
    key, kind = (("i", "int"), ("s", "text"))[b.choose(2)]
    if r.time is None or r.kind(r.time) != "time" or not r.of_kind(kind):
        return regular(b, depth)
    left = side(b, r)
    names = {n: b.name() for n in ("i", "s", "ts")}
    items = ", ".join(f"{n} AS {m}" for n, m in names.items())
    ranked = f"SELECT *, ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY ts DESC) AS r FROM t"
    passes = str(b.pick("", "", " AND f > 0", " AND b IS NOT TRUE"))
    view = f"{b.prefix}v{len(b.views)}"
    b.views.append(f"CREATE TEMPORARY VIEW {view} AS SELECT {items} FROM ({ranked}) WHERE r = 1{passes}")
    columns = tuple((names[n], k) for n, k in (("i", "int"), ("s", "text"), ("ts", "time")))
    right = Side(r, view, columns, names)
    on = f"{left.names[str(b.pick(*r.of_kind(kind)))]} = {names[key]}{further(b, left, right)}"
    join = str(b.pick("INNER", "LEFT"))
    sql = f"SELECT * FROM {left.sql} {join} JOIN {view} FOR SYSTEM_TIME AS OF {left.time} ON {on}"
    return replace(made(left, right, join, on, timed=True), sql=sql, updating=r.updating)


FORMS = (regular, regular, interval, windowed, present, past)
