"""A logical plan as one DuckDB query over whole inputs: batch mode, live queries, and the oracle of the streaming run.

Columns are ``c0 …`` at every level. Each scan becomes a relation named by ``scans``; its rows carry ``o``, the order
of arrival, for FIRST_VALUE and LAST_VALUE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from streamsql.datatypes import Root
from streamsql.errors import UnsupportedError
from streamsql.schema import Schema

from . import logical as l
from .batch_history import temporal_join_sql
from .compile import compile_aggregate, compile_expr
from .convert.calc import check_watermark
from .expressions import AggregateCall, Expr, SortKey
from .functions.base import CompileContext
from .logical_changelog import FromChangelog, ToChangelog
from .logical_joins import TemporalJoin
from .logical_match import MatchRecognize
from .sql_parts import floor_ms

Windows = Callable[[l.WindowTable, str, list[str]], str]


@dataclass
class BatchQuery:
    """``sql`` over relations ``scan0 …`` and ``matches``; ``scans[n]`` is the node whose rows relation n holds.

    ``histories[n]``: the node whose changes ``history{n}`` holds, with ``w`` and ``o``, as they arrived.
    """

    sql: str = ""
    scans: list[l.Scan] = field(default_factory=list[l.Scan])
    histories: list[l.Scan] = field(default_factory=list[l.Scan])
    matches: list[MatchedRows] = field(default_factory=list["MatchedRows"])


@dataclass(frozen=True)
class MatchedRows:
    """A MATCH_RECOGNIZE, which DuckDB does not have: its matches are the relation ``name``, with ``o``, their order.

    ``sql``: the rows to match in order of arrival, over the scans and the matches before.
    """

    name: str
    node: MatchRecognize
    sql: str


def to_batch(root: l.LogicalNode, context: CompileContext, windows: Windows) -> BatchQuery:
    """The query of a plan.

    ``windows`` gives the SQL of a TUMBLE, HOP or CUMULATE (node, source, passed-through columns).
    """
    writer = Writer(replace(context, watermark_sql="NULL::BIGINT"), windows)
    sql = writer.node(root)
    order = _order_of(root)
    items = ", ".join(f"c{i}" for i in range(len(root.schema)))
    writer.query.sql = f"SELECT {items} FROM ({sql}){order}"
    return writer.query


def _order_of(root: l.LogicalNode) -> str:
    """The order of the result is that of an outermost Sort, also below a projection that only forwards."""
    node = root
    while isinstance(node, l.Project | l.Collect | l.Sink) and not isinstance(node, l.Sort):
        node = node.input
    return " ORDER BY o" if isinstance(node, l.Sort) else ""


class Writer:
    """Writes the query of a plan, node by node."""

    def __init__(self, context: CompileContext, windows: Windows) -> None:
        self.context = context
        self.windows = windows
        self.query = BatchQuery()
        self.names: dict[str, str] = {}

    def node(self, node: l.LogicalNode) -> str:
        """``SELECT`` text of a node; columns ``c0 …`` and ``o``, a row order (arrival, or that of a Sort)."""
        return str(getattr(self, f"_{type(node).__name__.lower()}")(node))

    def exprs(self, exprs: Sequence[Expr], schema: Schema) -> list[str]:
        columns = [f"c{i}" for i in range(len(schema))]
        return [compile_expr(e, columns, self.context) for e in exprs]

    # -- leaves ----------------------------------------------------------------------------------------------------
    def _scan(self, node: l.Scan) -> str:
        digest = node.digest()
        if digest not in self.names:
            self.names[digest] = f"scan{len(self.query.scans)}"
            self.query.scans.append(node)
        return f"SELECT * FROM {self.names[digest]}"

    def changes_of(self, node: l.Scan) -> str:
        """The relation of all changes of a table."""
        digest = f"history of {node.digest()}"
        if digest not in self.names:
            self.names[digest] = f"history{len(self.query.histories)}"
            self.query.histories.append(node)
        return self.names[digest]

    def _values(self, node: l.Values) -> str:
        rows: list[str] = []
        for n, row in enumerate(node.rows):
            items = [f"{e} AS c{i}" for i, e in enumerate(self.exprs(row, Schema(())))]
            rows.append(f"SELECT {', '.join([*items, f'{n}::BIGINT AS o'])}")
        return " UNION ALL ".join(rows)

    # -- one input -------------------------------------------------------------------------------------------------
    def _project(self, node: l.Project) -> str:
        check_watermark(node.exprs, node.input.schema)
        items = [f"{e} AS c{i}" for i, e in enumerate(self.exprs(node.exprs, node.input.schema))]
        return f"SELECT {', '.join([*items, 'o'])} FROM ({self.node(node.input)})"

    def _filter(self, node: l.Filter) -> str:
        check_watermark([node.condition], node.schema)
        (condition,) = self.exprs([node.condition], node.schema)
        return f"SELECT * FROM ({self.node(node.input)}) WHERE {condition}"

    def _watermark(self, node: l.Watermark) -> str:
        return self.node(node.input)

    def _view(self, node: l.View) -> str:
        return self.node(node.input)

    def _sink(self, node: l.Sink) -> str:
        return self.node(node.input)

    def _collect(self, node: l.Collect) -> str:
        return self.node(node.input)

    def _windowtable(self, node: l.WindowTable) -> str:
        source = f"({self.node(node.input)})"
        if node.window.kind != "SESSION":
            return self.windows(node, source, ["o"])
        return self._session(node, source)

    def _session(self, node: l.WindowTable, source: str) -> str:
        """Sessions by gaps: a row starts one when it is more than the gap after the row before it."""
        window, width = node.window, len(node.input.schema)
        time = f"c{window.time_column}"
        tz = node.input.schema[window.time_column].type.root is Root.TIMESTAMP_LTZ
        ms = floor_ms(f"timezone('{window.zone}', {time})") if tz and window.zone != "UTC" else floor_ms(time)
        by = "".join(f"c{i}, " for i in window.partition)
        partition = f"PARTITION BY {by[:-2]} " if by else ""
        gap = window.size_ms
        before = f"lag({ms}) OVER ({partition}ORDER BY {ms})"
        lagged = f"SELECT *, {ms} AS t, {before} AS p FROM {source} WHERE {time} IS NOT NULL"
        starts = f"CASE WHEN p IS NULL OR t - p > {gap} THEN 1 ELSE 0 END"
        number = f"sum({starts}) OVER ({partition}ORDER BY t ROWS UNBOUNDED PRECEDING)"
        numbered = f"SELECT *, {number} AS s FROM ({lagged})"
        group = f"PARTITION BY {by}s"
        first, last = f"min(t) OVER ({group})", f"max(t) OVER ({group})"
        bounds = f"SELECT *, {first} AS a, {last} + {gap} AS b FROM ({numbered})"
        end = "make_timestamp((b - 1) * 1000)"
        window_time = f"timezone('{window.zone}', {end})" if tz else end
        columns = [f"c{i}" for i in range(width)]
        columns += [
            f"make_timestamp(a * 1000) AS c{width}",
            f"make_timestamp(b * 1000) AS c{width + 1}",
            f"{window_time} AS c{width + 2}",
        ]
        return f"SELECT {', '.join([*columns, 'o'])} FROM ({bounds})"

    def _aggregate(self, node: l.Aggregate) -> str:
        by = f" GROUP BY {', '.join(f'c{k}' for k in node.keys)}" if node.keys else ""
        inner = self.node(node.input)
        # keys are renamed in an outer query: a name of the input would hide the new one in GROUP BY
        keys = [f"c{k} AS k{i}" for i, k in enumerate(node.keys)]
        calls = [f"{self._call(c, node.input.schema)} AS a{i}" for i, c in enumerate(node.calls)]
        renamed = [f"k{i} AS c{i}" for i in range(len(keys))] + [
            f"a{i} AS c{len(keys) + i}" for i in range(len(calls))
        ]
        grouped = f"SELECT {', '.join([*keys, *calls, 'min(o) AS o'])} FROM ({inner}){by}"
        return f"SELECT {', '.join([*renamed, 'o'])} FROM ({grouped})"

    def _call(
        self, call: AggregateCall, schema: Schema, *, order: str | None = "o", window: str | None = None
    ) -> str:
        columns = [f"c{i}" for i in range(len(schema))]
        return compile_aggregate(call, columns, self.context, order=order, window=window)

    def _over(self, node: l.Over) -> str:
        schema = node.input.schema
        items = [f"c{i}" for i in range(len(schema))]
        for n, over in enumerate(node.calls):
            partition = ", ".join(self.exprs(over.partition, schema))
            order = ", ".join(
                x for x in (self._sort_keys(over.order, schema), over.arrival(schema, "o")) if x
            )
            clause = " ".join(
                x
                for x in (
                    f"PARTITION BY {partition}" if partition else "",
                    f"ORDER BY {order}" if order else "",
                    over.frame,
                )
                if x
            )
            value = self._call(over.call, schema, order=None, window=clause)
            items.append(f"{value} AS c{len(schema) + n}")
        return f"SELECT {', '.join([*items, 'o'])} FROM ({self.node(node.input)})"

    def _sort_keys(self, keys: Sequence[SortKey], schema: Schema) -> str:
        out = []
        for key in keys:
            (e,) = self.exprs([key.expr], schema)
            nulls = "FIRST" if key.effective_nulls_first else "LAST"
            out.append(f"{e} {'DESC' if key.descending else 'ASC'} NULLS {nulls}")
        return ", ".join(out)

    def _sort(self, node: l.Sort) -> str:
        keys = self._sort_keys(node.keys, node.schema)
        order = f"{keys}, o" if keys else "o"
        columns = ", ".join(f"c{i}" for i in range(len(node.schema)))
        numbered = (
            f"SELECT {columns}, row_number() OVER (ORDER BY {order}) AS o FROM ({self.node(node.input)})"
        )
        conditions = [f"o > {node.offset}"] if node.offset else []
        if node.limit is not None:
            conditions.append(f"o <= {node.offset + node.limit}")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT * FROM ({numbered}){where}"

    def _unnest(self, node: l.Unnest) -> str:
        (e,) = self.exprs([node.expr], node.input.schema)
        return unnest_sql(node, e, f"({self.node(node.input)})", ["o"])

    def _matchrecognize(self, node: MatchRecognize) -> str:
        digest = node.digest()
        if digest not in self.names:
            columns = ", ".join(f"c{i}" for i in range(len(node.input.schema)))
            sql = f"SELECT {columns} FROM ({self.node(node.input)}) ORDER BY o"
            self.names[digest] = f"match{len(self.query.matches)}"
            self.query.matches.append(MatchedRows(self.names[digest], node, sql))
        return f"SELECT * FROM {self.names[digest]}"

    def _expand(self, node: l.Expand) -> str:
        return expand_sql(node, f"({self.node(node.input)})", ["o"])

    def _tochangelog(self, node: ToChangelog) -> str:
        raise UnsupportedError(
            "TO_CHANGELOG is not supported in batch mode, as in Flink: a table has no changes there",
            hint="SET 'execution.runtime-mode' = 'STREAMING'",
            position=node.position,
        )

    def _fromchangelog(self, node: FromChangelog) -> str:
        raise UnsupportedError(
            "FROM_CHANGELOG is not supported in batch mode, as in Flink: a table has no changes there",
            hint="SET 'execution.runtime-mode' = 'STREAMING'",
            position=node.position,
        )

    # -- two inputs ------------------------------------------------------------------------------------------------
    def _union(self, node: l.Union) -> str:
        columns = ", ".join(f"c{i}" for i in range(len(node.schema)))
        return " UNION ALL ".join(f"SELECT {columns}, o FROM ({self.node(i)})" for i in node.inputs)

    def _setoperation(self, node: l.SetOperation) -> str:
        columns = ", ".join(f"c{i}" for i in range(len(node.schema)))
        keyword = node.kind.upper() + (" ALL" if node.all else "")
        left, right = (f"SELECT {columns} FROM ({self.node(i)})" for i in node.inputs)
        return f"SELECT *, 0::BIGINT AS o FROM ({left} {keyword} {right})"

    def _temporaljoin(self, node: TemporalJoin) -> str:
        return temporal_join_sql(node, self) if node.event_time else self._join(node)

    def _join(self, node: l.Join) -> str:
        left, right = len(node.left.schema), len(node.right.schema)
        names = [f"l.c{i}" for i in range(left)] + [f"r.c{i}" for i in range(right)]
        kind = {"CROSS": "INNER"}.get(node.kind, node.kind)
        condition = "TRUE" if node.condition is None else compile_expr(node.condition, names, self.context)
        if node.kind in ("SEMI", "ANTI"):
            matched = f"({condition}) IS NOT FALSE" if node.null_aware else condition
            found = f"EXISTS (SELECT 1 FROM ({self.node(node.right)}) r WHERE {matched})"
            return f"SELECT * FROM ({self.node(node.left)}) l WHERE {'NOT ' * (node.kind == 'ANTI')}{found}"
        items = ", ".join(f"{n} AS c{i}" for i, n in enumerate(names))
        return (
            f"SELECT {items}, coalesce(l.o, r.o) AS o FROM ({self.node(node.left)}) l "
            f"{kind} JOIN ({self.node(node.right)}) r ON {condition}"
        )


def expand_sql(node: l.Expand, source: str, extra: Sequence[str]) -> str:
    """SQL of a row once per grouping set; ``extra`` columns pass through."""
    width = len(node.input.schema)
    columns = [f"c{i}" for i in range(width)]
    for k in node.keys:
        ids = [str(n) for kept, n in zip(node.sets, node.ids, strict=True) if k in kept]
        if len(ids) < len(node.ids):
            columns[k] = f"CASE WHEN e IN ({', '.join(ids)}) THEN c{k} END"
    items = [f"{e} AS c{i}" for i, e in enumerate(columns)]
    numbers = ", ".join(f"{n}::BIGINT" for n in node.ids)
    each = f"SELECT *, unnest([{numbers}]) AS e FROM {source}"
    return f"SELECT {', '.join([*items, f'e AS c{width}', *extra])} FROM ({each})"


def unnest_sql(node: l.Unnest, collection: str, source: str, extra: Sequence[str]) -> str:
    """SQL of a row once per element of ``collection`` (compiled over ``c0 …``); ``extra`` columns pass through."""
    width = len(node.input.schema)
    kind = node.expr.type
    elements = f"map_entries({collection})" if kind.root is Root.MAP else collection
    if kind.root is Root.MULTISET:  # a map from each element to how often it is there
        repeated = "lambda e: list_transform(range(e.value), lambda i: e.key)"
        elements = f"flatten(list_transform(map_entries({collection}), {repeated}))"
    count = f"len({elements})"
    if node.outer:
        elements = f"CASE WHEN {count} > 0 THEN {elements} ELSE [NULL] END"
        count = f"greatest(coalesce({count}, 0), 1)"
    inner = f"SELECT *, unnest({elements}) AS u, unnest(range(1, {count} + 1)) AS n FROM {source}"
    if kind.root is Root.MAP:
        made = ["u.key", "u.value"]
    elif kind.children[0].root is Root.ROW:
        made = ['u."' + n.replace('"', '""') + '"' for n in kind.children[0].names]
    else:
        made = ["u"]
    if node.ordinality:
        made.append("n::INTEGER")
    items = [f"c{i}" for i in range(width)] + [f"{e} AS c{width + i}" for i, e in enumerate(made)]
    return f"SELECT {', '.join([*items, *extra])} FROM ({inner})"
