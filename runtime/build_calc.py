"""Stateless nodes to operators, and the fusing of Calcs into the query of their reader.

A chain of Calcs with one reader is one query; the partial aggregate of a GroupAggregate or WindowAggregate is computed
in the same query as the projections and filters below it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamsql.planner import physical as p
from streamsql.planner.batch import unnest_sql
from streamsql.planner.convert.calc import WATERMARK
from streamsql.planner.expressions import Call, Expr, InputRef, walk
from streamsql.schema import Schema

from .engine import internal_schema
from .expressions import FragmentCompiler
from .operators.calc import Calc, CalcConfig
from .operators.changelog_normalize import ChangelogNormalize
from .operators.union import Union

FUSING = (p.GroupAggregate, p.WindowAggregate, p.Calc, p.Expand, p.SinkUpsertMaterializer)
"""Nodes that compute the Calcs below them in their own query."""


def what(node: p.PhysicalNode) -> str:
    """The node as EXPLAIN shows it: what an error says was being computed."""
    return f"{node.name}({', '.join(f'{k}=[{v}]' for k, v in node.fields())})"


class Fusion:
    """Which Calcs of a plan are computed by the node above them, and the SQL of their rows."""

    def __init__(self, nodes: Sequence[p.PhysicalNode], sql: FragmentCompiler) -> None:
        self.sql = sql
        readers: dict[int, int] = {}
        for node in nodes:
            for i in node.inputs:
                readers[id(i)] = readers.get(id(i), 0) + 1
        below = (i for n in nodes if isinstance(n, FUSING) for i in n.inputs)
        self._fused = {
            id(n) for n in below if isinstance(n, p.Calc) and readers[id(n)] == 1 and not _reads_watermark(n)
        }

    def __contains__(self, node: p.PhysicalNode) -> bool:
        return id(node) in self._fused

    def base(self, node: p.PhysicalNode) -> p.PhysicalNode:
        """The first node below a ``node`` with one input that is not fused into it."""
        (base,) = self.bases(node)
        return base

    def bases(self, node: p.PhysicalNode) -> list[p.PhysicalNode]:
        """Per input of ``node`` the first node below that is not fused into it: what its operator reads."""
        return [self._unfused(i) for i in node.inputs]

    def _unfused(self, node: p.PhysicalNode) -> p.PhysicalNode:
        while node in self:
            node = node.inputs[0]
        return node

    def rows(self, node: p.PhysicalNode, extra: Sequence[str]) -> str:
        """SQL of the rows of ``node`` over ``{input}``: its own Calc and those fused below it.

        ``extra`` columns of the input (weight, order of arrival) are passed through.
        """
        if node not in self:
            return "{input}"
        assert isinstance(node, p.Calc)
        return f"({self.sql.calc(node, self.rows(node.inputs[0], extra), extra)})"

    def prepared(self, node: p.PhysicalNode, extra: Sequence[str]) -> str | None:
        """The rows of ``node`` as a query of their own; None where they are the input as it is."""
        rows = self.rows(node, extra)
        return None if rows == "{input}" else f"SELECT * FROM {rows}"

    def compiler(self, schema: Schema) -> Callable[[Expr], str]:
        """Expressions to SQL over the columns of ``schema``."""
        return lambda e: self.sql.expr(e, schema)


def _reads_watermark(node: p.Calc) -> bool:
    """Whether the Calc must run by itself: the operator above has a watermark of its own."""
    exprs = [*node.exprs, *([] if node.condition is None else [node.condition])]
    calls = (e for expr in exprs for e in walk(expr) if isinstance(e, Call))
    return any(call.function.name == WATERMARK for call in calls)


def weight_column(node: p.PhysicalNode) -> list[str]:
    """The weight column of the node's rows, where they have one."""
    return ["w"] if node.updating else []


def calc(node: p.Calc, fusion: Fusion) -> Calc:
    """A projection and filter, with those fused below it."""
    base = fusion.base(node)
    extra = weight_column(base)
    identity = (
        node.condition is None
        and base is node.inputs[0]
        and len(node.exprs) == len(base.schema)
        and all(isinstance(e, InputRef) and e.index == i for i, e in enumerate(node.exprs))
    )
    sql = fusion.sql.calc(node, fusion.rows(node.inputs[0], extra), extra)
    return _calc(node, base, sql, identity=identity)


def window_table(node: p.WindowTableFunction, fusion: Fusion) -> Calc:
    """TUMBLE, HOP or CUMULATE without an aggregate above: a row once per window."""
    source = node.inputs[0]
    sql = fusion.sql.window_table(node, "{input}", weight_column(source))
    return _calc(node, source, sql, time=node.window.time_column)


def correlate(node: p.Correlate, fusion: Fusion) -> Calc:
    """UNNEST: a row once per element."""
    source = node.inputs[0]
    collection = fusion.sql.expr(node.unnest.expr, source.schema)
    return _calc(node, source, unnest_sql(node.unnest, collection, "{input}", weight_column(source)))


def changelog_normalize(node: p.ChangelogNormalize, _: Fusion) -> ChangelogNormalize:
    """Upserts to retractions."""
    return ChangelogNormalize(internal_schema(node.schema), node.key)


def union(node: p.Union, _: Fusion) -> Union:
    """UNION ALL."""
    return Union()


def _calc(
    node: p.PhysicalNode, base: p.PhysicalNode, sql: str, *, identity: bool = False, time: int | None = None
) -> Calc:
    schemas = internal_schema(base.schema), internal_schema(node.schema)
    return Calc(CalcConfig(sql, *schemas, base.updating, what(node), identity, time))
