"""Statements to the plan of a job: bind, rewrite, convert, assign changelog modes. The file to read first."""

from __future__ import annotations

from collections.abc import Sequence

from streamsql.catalog.table import TableDefinition

from . import logical as l
from . import physical as p
from .bind_insert import bind_insert
from .bind_table import check_expressions as _check_expressions
from .binder import BindContext, QueryBinder
from .changelog_mode import assign_modes
from .convert import PhysicalOptions, to_physical
from .explain import logical_text, physical_text
from .rules import RULES
from .statements import Insert, Query, QueryTree


def bind_query(query: QueryTree, sql: str, context: BindContext) -> l.LogicalNode:
    """The logical plan of a query in the statement text ``sql``."""
    return QueryBinder(context, sql).bind(query)


def bind_root(statement: Query | Insert, context: BindContext) -> l.LogicalNode:
    """The logical plan of one query or INSERT, its sink on top."""
    if isinstance(statement, Insert):
        return bind_insert(statement, context)
    node = bind_query(statement.ast, statement.sql, context)
    return l.Collect(node.schema, node)


def check_expressions(table: TableDefinition, context: BindContext) -> TableDefinition:
    """A definition with its computed columns typed. Raises ValidationError where one does not bind."""
    return _check_expressions(table, QueryBinder(context, "").bind_text)


def rewrite(root: l.LogicalNode) -> l.LogicalNode:
    """All rules in order."""
    roots: tuple[l.LogicalNode, ...] = (root,)
    for rule in RULES:
        roots = rule(roots)
    return roots[0]


def plan(roots: Sequence[l.LogicalNode], options: PhysicalOptions) -> p.PhysicalPlan:
    """The plan of one job over these logical roots; equal sub-plans are shared."""
    memo: dict[str, p.PhysicalNode] = {}
    stages: list[tuple[str, str]] = []
    rewritten = tuple(roots)
    for rule in RULES:
        rewritten = rule(rewritten)
        stages.append((rule.__name__, logical_text(rewritten)))
    physical = tuple(to_physical(r, options, memo) for r in rewritten)
    stages.append(("to_physical", physical_text(physical)))
    final = assign_modes(physical)
    stages.append(("assign_modes", physical_text(final, changelog=True)))
    return p.PhysicalPlan(final, tuple(stages))


def explain(roots: Sequence[l.LogicalNode], options: PhysicalOptions, details: Sequence[str] = ()) -> str:
    """EXPLAIN's text: the tree as written, the physical plan, and the plan as it runs with shared parts named.

    CHANGELOG_MODE adds the changelog of every node; VERBOSE adds the plan after each rule.
    """
    made = plan(roots, options)
    changelog = "CHANGELOG_MODE" in details
    sections = [
        ("Abstract Syntax Tree", logical_text(roots)),
        ("Optimized Physical Plan", physical_text(made.roots, changelog=changelog)),
        ("Optimized Execution Plan", physical_text(made.roots, share=True)),
    ]
    if "VERBOSE" in details:
        before = logical_text(roots)
        for name, text in made.stages:
            sections.append((f"after {name}", "same text as above" if text == before else text))
            before = text
    return "\n\n".join(f"== {title} ==\n{text}" for title, text in sections) + "\n"
