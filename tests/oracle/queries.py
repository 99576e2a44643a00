"""Random queries over random tables, as hypothesis strategies: everything the streaming planner supports, composed.

A :class:`Relation` is a query text with what further queries need to know of it: column kinds, whether it is updated,
its time attribute, its window columns.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hypothesis import strategies as st

from . import join_queries, match_queries, rank_queries, set_queries, subquery_queries
from .random_tables import COLLECTIONS, EVENT_COLUMNS, NUMBERS

# -- relations -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Relation:
    """``sql`` yields ``columns`` (name, kind). ``ordered``: its order of arrival is that of batch mode too."""

    sql: str
    columns: tuple[tuple[str, str], ...]
    updating: bool = False
    ordered: bool = False
    time: str | None = None
    window: tuple[str, str] | None = None

    def of_kind(self, *kinds: str) -> list[str]:
        return [n for n, k in self.columns if k in kinds]

    def kind(self, name: str) -> str:
        return dict(self.columns)[name]


T = Relation("SELECT * FROM t", tuple(EVENT_COLUMNS.items()), ordered=True, time="ts")
U = replace(T, sql="SELECT * FROM u", columns=(*T.columns[:-1], ("ts", "instant")))
E = Relation("SELECT * FROM e", (("i", "int"), ("s", "text"), ("ts", "time")), updating=True, time="ts")
C = Relation("SELECT * FROM c", (("i", "int"), ("f", "double"), ("s", "text")), updating=True)
P = Relation("SELECT * FROM p", (("id", "int"), ("i", "int"), ("s", "text")), updating=True)


class Builder:
    """Makes one query; names are numbered within it, so that equal draws give equal text."""

    def __init__(self, choose: Callable[[int], int], prefix: str = "", *, plain: bool = False) -> None:
        """``choose(n)`` is a number below n, 0 the simplest.

        ``plain``: only what plain DuckDB reads too, and answers alike.
        """
        self.choose = choose
        self.prefix = prefix
        self.plain = plain
        self.names = itertools.count()
        self.views: list[str] = []

    def pick(self, *choices: object) -> object:
        return choices[self.choose(len(choices))]

    def one_in(self, n: int) -> bool:
        return self.choose(n) == 0

    def name(self) -> str:
        return f"x{next(self.names)}"

    # -- expressions -----------------------------------------------------------------------------------------------
    def number(self, r: Relation, depth: int = 2) -> str:
        """A numeric expression. Kinds mix freely; the types are the planner's business."""
        columns = r.of_kind("int", "big", "double", "decimal")
        leaves = [*columns, "1", "2", "0.5", "CAST(NULL AS INT)"]
        if depth == 0 or self.one_in(3):
            return str(self.pick(*leaves))
        a, b = self.number(r, depth - 1), self.number(r, depth - 1)
        made = [
            f"({a} + {b})", f"({a} - {b})", f"(-{a})", f"ABS({a})", f"COALESCE({a}, {b})",
            f"CASE WHEN {self.test(r)} THEN {a} ELSE {b} END", f"NULLIF({a}, {b})",
            f"CAST({a} AS DOUBLE)",
        ]  # fmt: skip
        return str(self.pick(*made))

    def text(self, r: Relation) -> str:
        columns = r.of_kind("text")
        leaf = str(self.pick(*columns, "'a'", "'z'"))
        return str(self.pick(leaf, leaf, f"UPPER({leaf})", f"({leaf} || 'x')", f"COALESCE({leaf}, 'none')"))

    def condition(self, r: Relation, depth: int = 2) -> str:
        if depth > 0 and self.one_in(3):
            a, b = self.condition(r, depth - 1), self.condition(r, depth - 1)
            return str(self.pick(f"({a} AND {b})", f"({a} OR {b})", f"(NOT {a})"))
        if self.one_in(4):
            return f"{self.number(r, 1)} {self.pick('<', '>=', '=', '<>')} {self.number(r, 0)}"
        return self.test(r)

    def test(self, r: Relation) -> str:
        """A condition on one column."""
        n = ["1 = 1"]
        n += [f"{c} IS {self.pick('', 'NOT ')}NULL" for c, _ in r.columns[:3]]
        n += [f"{c} > 0" for c in r.of_kind("int", "double")]
        n += [f"{c} IS TRUE" for c in r.of_kind("bool")] + [f"{c} <> 'a'" for c in r.of_kind("text")]
        n += [f"{c} IN ('a', 'b')" for c in r.of_kind("text")] + [
            f"{c} BETWEEN 0 AND 7" for c in r.of_kind("int")
        ]
        n += [f"{c} > TIMESTAMP '2024-01-01 00:00:20'" for c in r.of_kind("time")]
        n += [f"CARDINALITY({c}) > 0" for c in r.of_kind("array")]
        return str(self.pick(*n))

    # -- queries ---------------------------------------------------------------------------------------------------
    def source(self) -> Relation:
        found = self.pick(T, T, T, U, C, P, E)
        assert isinstance(found, Relation)
        return found

    def relation(self, depth: int) -> Relation:
        if depth == 0:
            return self.source()
        forms: list[Callable[[int], Relation]] = [self.project, self.group, self.group]
        forms += [self.union, self.distinct, self.unnest, self.set_operation]
        forms += [partial(form, self) for form in (*set_queries.FORMS, *subquery_queries.FORMS)]
        if self.plain:
            forms += [partial(join_queries.regular, self), self.over]
        else:
            forms += [self.windowed, self.windowed]
            forms += [partial(form, self) for form in join_queries.FORMS]
        if not self.plain:
            forms += [partial(form, self) for form in (*rank_queries.FORMS, *match_queries.FORMS)]
        form = self.pick(*forms)
        assert callable(form)
        made = form(depth)
        assert isinstance(made, Relation)
        if self.one_in(5):
            view = f"{self.prefix}v{len(self.views)}"
            self.views.append(f"CREATE TEMPORARY VIEW {view} AS {made.sql}")
            made = replace(made, sql=f"SELECT * FROM {view}")
        return made

    def unnest(self, depth: int) -> Relation:
        """A row once per element of an array."""
        r = self.relation(depth - 1)
        arrays = r.of_kind("array")
        if not arrays:
            return self.project(depth)
        name = self.name()
        kept = [n for n, _ in r.columns]
        join = self.pick("CROSS JOIN", "CROSS JOIN", "LEFT JOIN")
        on = " ON TRUE" if join == "LEFT JOIN" else ""
        sql = f"SELECT {', '.join([*kept, name])} FROM ({r.sql}) {join} UNNEST({arrays[0]}) AS n ({name}){on}"
        return replace(r, sql=sql, columns=(*r.columns, (name, "int")), ordered=False)

    def where(self, r: Relation) -> str:
        return f" WHERE {self.condition(r)}" if self.one_in(3) else ""

    def project(self, depth: int) -> Relation:
        r = self.relation(depth - 1)
        keep = [n for n, _ in r.columns if n in (r.time, *(r.window or ())) or self.one_in(2)]
        items = [(f"{n} AS {self.name()}", r.kind(n), n) for n in keep]
        items.append((f"{self.number(r)} AS {self.name()}", "number", ""))
        if self.one_in(2):
            items.append((f"{self.text(r)} AS {self.name()}", "text", ""))
        renamed = {old: sql.rsplit(" AS ", 1)[1] for sql, _, old in items if old}
        columns = tuple((sql.rsplit(" AS ", 1)[1], kind) for sql, kind, _ in items)
        sql = f"SELECT {', '.join(i[0] for i in items)} FROM ({r.sql}){self.where(r)}"
        window = (renamed[r.window[0]], renamed[r.window[1]]) if r.window else None
        time = renamed[r.time] if r.time else None
        return replace(r, sql=sql, columns=columns, time=time, window=window)

    def union(self, depth: int) -> Relation:
        a, b = self.relation(depth - 1), self.relation(depth - 1)
        kinds = [k for k in ("int", "text", "time", "instant") if a.of_kind(k) and b.of_kind(k)]
        same = a.time is not None and b.time is not None and a.kind(a.time) == b.kind(b.time)
        timed = a.kind(str(a.time)) if same and self.one_in(2) else None
        sides = []
        names = [self.name() for _ in range(len(kinds) + 2)]
        for r in (a, b):
            items = [str(self.pick(*r.of_kind(k))) if k != timed else str(r.time) for k in kinds]
            if not kinds:
                items = ["1"]
            sides.append(", ".join(f"{e} AS {n}" for e, n in zip(items, names, strict=False)))
        columns = tuple(zip(names, kinds or ["int"], strict=False))
        time = names[kinds.index(timed)] if timed else None
        sql = f"SELECT {sides[0]} FROM ({a.sql}) UNION ALL SELECT {sides[1]} FROM ({b.sql})"
        return Relation(sql, columns, a.updating or b.updating, time=time)

    def set_operation(self, depth: int) -> Relation:
        """INTERSECT and EXCEPT over the columns that both have kinds of."""
        a, b = self.relation(depth - 1), self.relation(depth - 1)
        kinds = [k for k in ("int", "text", "bool") if a.of_kind(k) and b.of_kind(k)]
        if not kinds:
            return self.project(depth)
        names = [self.name() for _ in kinds]
        sides = [
            ", ".join(f"{self.pick(*r.of_kind(k))} AS {n}" for k, n in zip(kinds, names, strict=True))
            for r in (a, b)
        ]
        operation = self.pick("INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL")
        sql = f"SELECT {sides[0]} FROM ({a.sql}) {operation} SELECT {sides[1]} FROM ({b.sql})"
        return Relation(sql, tuple(zip(names, kinds, strict=True)), updating=True)

    def over(self, depth: int) -> Relation:
        """A window function whose answer does not hang on the order of equal rows."""
        r = self.relation(depth - 1)
        keys = self.keys(r)
        partition = f"PARTITION BY {', '.join(keys)}" if keys else ""
        order = [n for n, k in r.columns if k not in COLLECTIONS]
        number, name = self.number(r, 1), self.name()
        calls = [f"SUM({number}) OVER ({partition})", f"COUNT(*) OVER ({partition})"]
        if order:
            calls.append(f"RANK() OVER ({partition} ORDER BY {self.pick(*order)} {self.pick('', 'DESC')})")
            calls.append(f"MAX({number}) OVER ({partition} ORDER BY {self.pick(*order)})")
        kept = ", ".join(n for n, _ in r.columns)
        sql = f"SELECT {kept}, {self.pick(*calls)} AS {name} FROM ({r.sql}){self.where(r)}"
        return Relation(sql, (*r.columns, (name, "number")))

    def distinct(self, depth: int) -> Relation:
        r = self.relation(depth - 1)
        bare = [n for n, k in r.columns if k not in COLLECTIONS]
        keep = [n for n in bare if self.one_in(2)] or bare[:1]
        if not keep:
            return self.project(depth)
        items = [(n, self.name(), r.kind(n)) for n in keep]
        sql = f"SELECT DISTINCT {', '.join(f'{n} AS {m}' for n, m, _ in items)} FROM ({r.sql}){self.where(r)}"
        return Relation(sql, tuple((m, k) for _, m, k in items), updating=r.updating)

    def calls(self, r: Relation) -> list[tuple[str, str]]:
        """Aggregate calls with the kind of their result."""
        return [self.call(r) for _ in range(1 + self.choose(3))]

    def call(self, r: Relation) -> tuple[str, str]:
        numbers = r.of_kind(*NUMBERS)
        number = self.number(r, 1) if self.one_in(2) or not numbers else str(self.pick(*numbers))
        columns = [c for c in r.columns if c[1] not in COLLECTIONS] or [("1", "int")]
        column, kind = columns[self.choose(len(columns))]
        distinct = str(self.pick("", "", "DISTINCT "))
        average = f"CAST({number} AS DOUBLE)" if self.plain else number
        made = [
            ("COUNT(*)", "big"), (f"COUNT({distinct}{column})", "big"), (f"SUM({distinct}{number})", "number"),
            (f"AVG({distinct}{average})", "number"), (f"MIN({column})", kind), (f"MAX({column})", kind),
            (f"MAX({number})", "number"), (f"COUNT({distinct}{number})", "big"),
            (f"VAR_POP(CAST({number} AS DOUBLE))", "double"), (f"STDDEV_SAMP(CAST({number} AS DOUBLE))", "double"),
        ]  # fmt: skip
        if kind in ("int", "text") and not self.plain:
            made.append((f"COLLECT({column})", "multiset"))
        if r.of_kind("text") and not self.plain:
            made.append((f"LISTAGG(DISTINCT {self.pick(*r.of_kind('text'))})", "text"))
        if r.ordered and not self.plain:
            made += [(f"FIRST_VALUE({column})", kind), (f"LAST_VALUE({column})", kind)]
            made += [(f"LISTAGG({c}, '-')", "text") for c in r.of_kind("text")[:1]]
            made += [(f"ARRAY_AGG({c})", "array") for c in r.of_kind("int")[:1]]
            made += [(f"JSON_ARRAYAGG({c})", "text") for c in r.of_kind("int")[:1]]
        call, result = made[self.choose(len(made))]
        if self.one_in(4):
            call += f" FILTER (WHERE {self.condition(r, 1)})"
        return call, result

    def keys(self, r: Relation) -> list[str]:
        bare = [n for n, k in r.columns if k not in COLLECTIONS]
        choices = [n for n in bare if n != r.time and n not in (r.window or ())]
        return [n for n in choices if self.one_in(3)][:3]

    def group(self, depth: int) -> Relation:
        """GROUP BY; by the input's window where it has one and the draw says so."""
        r = self.relation(depth - 1)
        window = r.window if r.window and self.one_in(2) else None
        return self.aggregate(r, f"({r.sql})", [*(window or ()), *self.keys(r)], window)

    def aggregate(
        self,
        r: Relation,
        source: str,
        keys: Sequence[str],
        window: tuple[str, str] | None,
        time: str | None = None,
    ) -> Relation:
        kinds = dict(r.columns) | dict.fromkeys(window or (), "time")
        if time and r.time:
            kinds[time] = r.kind(r.time)
        items = [(k, self.name(), kinds[k]) for k in keys] + [(c, self.name(), k) for c, k in self.calls(r)]
        grouping = f" GROUP BY {', '.join(keys)}" if keys else ""
        having = f" HAVING COUNT(*) > {self.choose(3)}" if self.one_in(4) else ""
        body = ", ".join(f"{e} AS {n}" for e, n, _ in items)
        sql = f"SELECT {body} FROM {source}{self.where(r)}{grouping}{having}"
        renamed = {e: n for e, n, _ in items}
        return Relation(
            sql,
            tuple((n, k) for _, n, k in items),
            updating=window is None,
            time=renamed[time] if time else None,
            window=(renamed[window[0]], renamed[window[1]]) if window else None,
        )

    def windowed(self, depth: int) -> Relation:
        """A window table function, alone or aggregated."""
        r = self.relation(depth - 1)
        if r.time is None:
            r = (T, U, E)[self.choose(3)]
            assert r.time is not None
        kind = str(self.pick("TUMBLE", "HOP", "CUMULATE", "SESSION"))
        inner = (
            f"({r.sql})"
            if r.window is None
            else f"(SELECT {', '.join(n for n, _ in r.columns)} FROM ({r.sql}))"
        )
        partition = ""
        if kind == "SESSION":
            keys = self.keys(r)[:1]
            partition = f" PARTITION BY {keys[0]}" if keys else ""
            lengths = f"INTERVAL '{self.pick(1, 4, 10)}' SECOND"
        else:
            step = (2, 5, 10)[self.choose(3)]
            times = 1 if kind == "TUMBLE" else 1 + self.choose(3)
            sizes = [step] if kind == "TUMBLE" else [step, step * times]
            lengths = ", ".join(f"INTERVAL '{s}' SECOND" for s in sizes)
            lengths += str(self.pick("", "", ", INTERVAL '1' SECOND", ", INTERVAL '-3' SECOND"))
        source = f"TABLE({kind}(TABLE {inner}{partition}, DESCRIPTOR({r.time}), {lengths}))"
        window = ("window_start", "window_end")
        if self.one_in(4):
            names = [self.name() for _ in range(3)]
            appended = ", ".join(f"{c} AS {n}" for c, n in zip((*window, "window_time"), names, strict=True))
            kept = [n for n, _ in r.columns if n != r.time]
            sql = f"SELECT {', '.join([*kept, appended])} FROM {source}{self.where(r)}"
            kinds = ("time", "time", r.kind(r.time))
            columns = (*((n, r.kind(n)) for n in kept), *zip(names, kinds, strict=True))
            updating = r.updating and kind != "SESSION"
            return Relation(sql, columns, updating, ordered=False, time=names[2], window=(names[0], names[1]))
        time = "window_time" if self.one_in(2) else None
        keys = [*window, *([time] if time else []), *self.keys(r)]
        return self.aggregate(r, source, keys, window, time)


@dataclass(frozen=True)
class Query:
    """The text of a query, after the statements that create its views."""

    sql: str
    views: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ";\n".join([*self.views, self.sql])


@st.composite
def queries(draw: st.DrawFn, depth: int = 3, prefix: str = "", *, plain: bool = False) -> Query:
    """A query over the tables of :func:`inputs`. ``prefix`` keeps the names of its views apart from others'.

    Half of them hypothesis builds choice by choice, and can shrink; the others come from a seed, and are more varied.
    """
    seed = draw(st.none() | st.integers(0, 2**32))

    def choose(n: int) -> int:
        return int(draw(st.integers(0, n - 1)))

    builder = Builder(choose if seed is None else random.Random(seed).randrange, prefix, plain=plain)
    sql = builder.relation(1 + builder.choose(depth)).sql
    return Query(sql, tuple(builder.views))


ZONES = ("UTC", "Asia/Kolkata", "America/New_York")


_EMIT = "SET 'table.exec.emit."
_EARLY = f"{_EMIT}early-fire.enabled' = 'true'"
_LATE = (f"{_EMIT}late-fire.enabled' = 'true'", f"{_EMIT}allow-lateness' = '1 min'")
EMITS: tuple[tuple[str, ...], ...] = (
    *[()] * 12,
    (_EARLY,),
    (_EARLY, f"{_EMIT}early-fire.delay' = '5 ms'"),
    _LATE,
    (_EARLY, f"{_EMIT}late-fire.delay' = '5 s'", *_LATE),
)
"""When windows show their values; mostly when they are complete."""


@st.composite
def sessions(draw: st.DrawFn) -> list[str]:
    """Settings that change how a query runs and not what it answers, and a zone."""
    mini = draw(st.integers(0, 4)) == 0
    return [
        f"SET 'table.local-time-zone' = '{draw(st.sampled_from(ZONES))}'",
        *draw(st.sampled_from(EMITS)),
        *(["SET 'table.exec.mini-batch.enabled' = 'false'"] if mini else []),
    ]
