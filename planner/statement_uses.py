"""What a query needs of the catalog and which options it gives by hints, without binding it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from .parsing import parse_expression, parse_one
from .statement_names import tables_in
from .statement_types import QueryTree


@dataclass(frozen=True)
class Uses:
    """``tables``: names of tables and views, in parts. ``functions``: names that are called, in small letters.

    ``options``: those of OPTIONS hints, each with the name of its table before it.
    """

    tables: tuple[tuple[str, ...], ...]
    functions: frozenset[str]
    options: tuple[tuple[str, str, str], ...]


def uses_of(query: QueryTree) -> Uses:
    """What a query uses; names are as they stand there."""
    return Uses(
        tuple(tuple(part.name for part in table.parts) for table in tables_in(query)),
        _called(query),
        tuple((table.name, p.this.name, p.args["value"].name) for table, p in _hinted(query)),
    )


def uses_of_text(query: str) -> Uses:
    """As :func:`uses_of`."""
    return uses_of(parse_one(query))


def functions_in(expression: str) -> frozenset[str]:
    """The functions that the text of an expression calls, built-in ones too.

    >>> sorted(functions_in("Mine(a) + ABS(b)"))
    ['abs', 'mine']
    """
    return _called(parse_expression(expression))


def with_hidden_options(query: QueryTree, is_secret: Callable[[str, str], bool], shown: str) -> QueryTree:
    """The query with ``shown`` in the place of each secret value in its OPTIONS hints."""
    copy = query.copy()
    for _, option in _hinted(copy):
        if is_secret(option.this.name, option.args["value"].name):
            option.set("value", exp.Literal.string(shown))
    return copy


def _called(tree: exp.Expr) -> frozenset[str]:
    return frozenset(call.name.lower() for call in tree.find_all(exp.Anonymous))


def _hinted(query: exp.Expr) -> Iterator[tuple[exp.Table, exp.Property]]:
    for table in query.find_all(exp.Table):
        for hint in table.args.get("hints") or ():
            for option in hint.find_all(exp.Property):
                yield table, option
