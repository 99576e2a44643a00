"""The names a query or an expression uses, without binding it: for views and for ALTER TABLE."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlglot
from sqlglot import exp

from .dialect import Flink
from .dialect.words import needs_quotes
from .parsing import parse_one
from .statement_nodes import text


def columns_in(expression: str) -> set[str]:
    """The columns that the text of an expression reads; of ``a.b`` it is ``a``.

    >>> sorted(columns_in("CAST(a.b AS INT) + c"))
    ['a', 'c']
    """
    tree = sqlglot.parse_one(f"SELECT {expression}", read=Flink)
    return {column.parts[0].name for column in tree.find_all(exp.Column)}


def tables_in(query: exp.Expr) -> Iterator[exp.Table]:
    """The tables and views that a query names; not its own WITH queries and not table functions.

    >>> query = parse_one("WITH t AS (SELECT * FROM t), u AS (SELECT * FROM t, v) SELECT * FROM u")
    >>> [table.name for table in tables_in(query)]
    ['t', 'v']
    """
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and not _is_cte(table):
            yield table


def qualified(query: str, resolve: Callable[[list[str]], tuple[str, str, str]]) -> str:
    """The text of a query with the full name of every table.

    >>> qualified("SELECT * FROM t", lambda parts: ("c", "d", parts[-1]))
    'SELECT * FROM c.d.t'
    """
    tree = parse_one(query)
    for table in list(tables_in(tree)):
        if table.args.get("alias") is None:
            alias = exp.TableAlias(this=table.this.copy())
            table.set("alias", alias if _qualifies_columns(table) else None)
        names = resolve([part.name for part in table.parts])
        for key, name in zip(("catalog", "db", "this"), names, strict=True):
            table.set(key, exp.Identifier(this=name, quoted=needs_quotes(name)))
    return text(tree)


def _is_cte(table: exp.Table) -> bool:
    if len(table.parts) > 1:
        return False
    path: list[exp.Expr] = []
    node: exp.Expr | None = table
    while node is not None:
        with_ = node.args.get("with_")
        if with_ is not None and table.name in _in_sight(with_, path):
            return True
        path.append(node)
        node = node.parent
    return False


def _in_sight(with_: exp.Expr, path: list[exp.Expr]) -> list[str]:
    """The WITH queries that a place sees: from one of them, to which ``path`` leads, those before it."""
    names = [cte.alias for cte in with_.expressions]
    inside = next((i for i, cte in enumerate(with_.expressions) if any(cte is p for p in path)), len(names))
    return names[:inside]


def _qualifies_columns(table: exp.Table) -> bool:
    """Whether some column of the query is written with the table's name in front, which must stay valid."""
    root = table.root()
    return len(table.parts) == 1 and any(
        len(column.parts) > 1 and column.parts[0].name == table.name for column in root.find_all(exp.Column)
    )
