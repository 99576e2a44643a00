"""MATCH_RECOGNIZE to its operator: the queries that compute conditions' columns and measures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from streamsql.changelog import ChangelogBatch
from streamsql.datatypes import BIGINT, BOOLEAN
from streamsql.planner import physical as p
from streamsql.planner.compile import compile_aggregate, compile_expr, compile_sort_key
from streamsql.planner.expressions import Expr, InputRef, Literal, transform
from streamsql.planner.functions import equals
from streamsql.planner.logical_match import MatchAggregate, MatchRecognize, PatternRef
from streamsql.planner.row_pattern import variables
from streamsql.planner.sql_parts import floor_ms
from streamsql.schema import ROWTIME

from .build_calc import Fusion, what
from .engine import Engine, conform, internal_names, internal_schema
from .expressions import FragmentCompiler
from .match_conditions import Conditions
from .match_partials import Rules
from .match_program import Program, compile_pattern
from .match_values import Row, Value
from .operators import match_recognize as operator
from .operators.base import MAX_WATERMARK, MIN_WATERMARK, Operator, OperatorContext, StepTime


def match_recognize(node: p.Match, fusion: Fusion) -> Operator:
    """The operator of a planned MATCH_RECOGNIZE."""
    return match_operator(node.logical, fusion.sql, what(node))


def match_operator(node: MatchRecognize, sql: FragmentCompiler, described: str) -> Operator:
    """The operator over rows of ``node``'s input."""
    program = compile_pattern(node.pattern)
    conditions = Conditions(program.variables, node.define)
    names = internal_names(len(node.input.schema))
    columns = [compile_expr(e, names, sql.context) for e in conditions.row_exprs]
    first = conditions.first_columns([program.states[s] for s in program.start])
    computed = [pa.field(f"x{i}", e.type.arrow) for i, e in enumerate(conditions.row_exprs)]
    return operator.MatchRecognize(
        operator.MatchConfig(
            input=internal_schema(node.input.schema),
            computed=pa.schema(computed),
            output=internal_schema(node.schema),
            partition=node.partition,
            time_sql=None if node.proctime else floor_ms(f"c{node.time}"),
            sort_sql=_sort_sql(node, columns, names, sql),
            cautious_sql=_sort_sql(node, [f"TRY({c})" for c in columns], names, sql),
            computed_sql=tuple(columns),
            begins=None if first is None else tuple(f"x{i}" for i in first),
            rules=_rules(node, program, conditions, sql),
            measures_sql=_Measures(node, names, sql).sql(),
            holds_time=any(f.time == ROWTIME for f in node.schema),
            what=described,
        )
    )


def match_rows(
    node: MatchRecognize, rows: pa.Table, engine: Engine, sql: FragmentCompiler, now_ms: int
) -> pa.Table:
    """All matches over whole rows in order of arrival: the operator's answer to one step."""
    made = match_operator(node, sql, node.describe())
    made.open(OperatorContext(engine, time_zone=sql.context.time_zone))
    batch = ChangelogBatch(conform(rows, internal_schema(node.input.schema)))
    found = made.process([batch], StepTime(MIN_WATERMARK, MAX_WATERMARK, now_ms))
    schema = internal_schema(node.schema)
    return pa.Table.from_batches([] if found is None else [found.rows], schema)


def _rules(
    node: MatchRecognize, program: Program, conditions: Conditions, sql: FragmentCompiler
) -> operator.MakeRules:
    at = -1 if node.after.variable is None else program.variables.index(node.after.variable)

    def make(missing: Row, query: operator.MakeQuery) -> Rules:
        def fallback(expr: Expr, leaves: Sequence[Expr]) -> Callable[[Row], Value]:
            text = compile_expr(expr, internal_names(len(leaves)), sql.context)
            return query(text, [e.type.arrow for e in leaves], expr.type.arrow)

        compiled = conditions.compile(missing, fallback)
        return Rules(program, conditions.trackers(), compiled, node.after.kind, at, node.within_ms)

    return make


def _sort_sql(
    node: MatchRecognize, columns: Sequence[str], names: Sequence[str], sql: FragmentCompiler
) -> str:
    computed = [f"{column} AS x{i}" for i, column in enumerate(columns)]
    keys = ["t", *(compile_sort_key(k, names, sql.context) for k in node.order), "i"]
    return f"SELECT {', '.join([*names, 't', *computed])} FROM {{input}} ORDER BY {', '.join(keys)}"


class _Measures:
    """The query of a match's output: what is read of its rows in an inner query, expressions over it outside."""

    def __init__(self, node: MatchRecognize, names: Sequence[str], sql: FragmentCompiler) -> None:
        self.node = node
        self.names = names
        self.sql_context = sql.context
        self.variables = variables(node.pattern)
        self.inner: dict[Expr, str] = {}

    def sql(self) -> str:
        fields = self.node.input.schema
        exprs: list[Expr] = [PatternRef(None, i, fields[i].name, fields[i].type) for i in self.node.partition]
        over = [transform(e, self._read) for e in (*exprs, *self.node.measures)]
        columns = [f"g{i}" for i in range(len(self.inner))]
        items = [f"{compile_expr(e, columns, self.sql_context)} AS c{i}" for i, e in enumerate(over)]
        read = [f"{text} AS g{i}" for i, text in enumerate(self.inner.values())]
        grouped = f"SELECT {', '.join(['m', *read])} FROM {{input}} GROUP BY m"
        return f"SELECT {', '.join(items)} FROM ({grouped}) ORDER BY m"

    def _read(self, expr: Expr) -> Expr:
        if not isinstance(expr, PatternRef | MatchAggregate):
            return expr
        if expr not in self.inner:
            self.inner[expr] = self._place(expr) if isinstance(expr, PatternRef) else self._aggregate(expr)
        return InputRef(list(self.inner).index(expr), expr.text(), expr.type)

    def _place(self, ref: PatternRef) -> str:
        condition = (
            "" if ref.variable is None else f" FILTER (WHERE v = {self.variables.index(ref.variable)})"
        )
        if not ref.offset:
            return f"{'first' if ref.first else 'last'}({self.names[ref.index]} ORDER BY n){condition}"
        values = f"list({self.names[ref.index]} ORDER BY n){condition}"
        return f"({values})[{ref.offset + 1 if ref.first else -1 - ref.offset}]"

    def _aggregate(self, expr: MatchAggregate) -> str:
        call = expr.call
        columns = [*self.names, "v"]
        if expr.variable is not None:
            variable = InputRef(len(self.names), "v", BIGINT().not_null())
            index = Literal(self.variables.index(expr.variable), BIGINT().not_null())
            condition = equals(variable, index)
            assert condition.type == BOOLEAN().not_null()
            call = type(call)(call.function, call.args, call.type, filter=condition, options=call.options)
        return compile_aggregate(call, columns, self.sql_context, order="n")
